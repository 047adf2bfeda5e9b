/// <reference lib="dom" />
/** The conversations: search, those that are pinned, folders, the rest. */
import { folded } from "../api/folding.ts";
import type { ComponentChildren } from "preact";
import type { Actions } from "./actions.ts";
import { mostFound } from "./history.ts";
import { Visible } from "./markdown.tsx";
import type { State } from "./state.ts";
import type { Summary } from "./types.ts";

export function Sidebar({ actions }: { actions: Actions }) {
  const { state, library } = actions;
  const { keeping, list, total, temporaries, query, hits, passages, folder } = state;
  return (
    <nav class="sidebar" aria-label="Conversations">
      <div class="sidebar-head">
        <button type="button" class="primary" onClick={() => library.begin()}>New</button>
        {keeping.kind === "kept" && (
          <button type="button" onClick={() => library.begin(true)}>Temporary</button>
        )}
      </div>
      {keeping.kind === "nothing" && (
        <p class="soft">
          Nothing is kept: <Visible text={keeping.why} />
        </p>
      )}
      {keeping.kind === "kept" && !keeping.writable && (
        <p class="soft">
          Another SecLlama writes the history: new conversations are temporary here.
        </p>
      )}
      {keeping.kind === "kept" && (
        <input
          autocomplete="off"
          spellcheck={false}
          type="search"
          id="search"
          aria-label="Search in titles, messages and documents"
          placeholder="Search"
          value={query}
          onInput={(event) => library.search(event.currentTarget.value)}
        />
      )}
      {hits
        ? (
          <>
            {folder !== undefined && (
              <>
                <h2>
                  <Visible text={folder} />
                </h2>
                <button type="button" onClick={() => library.look(undefined)}>
                  All conversations
                </button>
              </>
            )}
            <p class="soft" role="status">
              {hits.length}{" "}
              found{hits.length === mostFound(folder) && ", the newest: there may be more"}
            </p>
            <ul>
              {hits.map((hit) => (
                <li key={hit.id}>
                  <button type="button" class="entry" onClick={() => library.open(hit.id)}>
                    <Visible text={hit.title || "Untitled"} />
                    <span class="soft">
                      <Visible text={hit.snippet} />
                    </span>
                  </button>
                </li>
              ))}
            </ul>
            {passages.length > 0 && <h2>In documents</h2>}
            <ul>
              {passages.map(({ document, name, page, text }) => (
                <li key={document}>
                  <button
                    type="button"
                    class="entry"
                    title="Look the next question up in it"
                    onClick={() => actions.lookUpIn({ id: document, name })}
                  >
                    <Visible text={page === null ? name : `${name}, page ${page}`} />
                    <span class="soft">
                      <Visible text={snippetOf(text, query)} />
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </>
        )
        : (
          <>
            {temporaries.length > 0 && (
              <Group actions={actions} title="Temporary, this tab only" entries={temporaries} />
            )}
            {groupsOf(list, state.folders).map(({ title, entries, more, folder }) => (
              <Group
                key={`${folder === undefined} ${title}`}
                actions={actions}
                title={title}
                entries={entries}
              >
                {more > 0 && (
                  <button
                    type="button"
                    onClick={() => library.look(folder)}
                  >
                    Show all of <Visible text={title} /> ({entries.length + more})
                  </button>
                )}
              </Group>
            ))}
            {list.length < total && (
              <button type="button" onClick={() => library.more()}>
                Show more ({total - list.length})
              </button>
            )}
          </>
        )}
    </nav>
  );
}

/** A passage's text around the first of the words. */
function snippetOf(text: string, query: string): string {
  const lower = folded(text);
  const places = folded(query).split(/\s+/).filter((word) => word !== "")
    .map((word) => lower.indexOf(word)).filter((at) => at >= 0);
  const start = Math.max(0, (places.length === 0 ? 0 : Math.min(...places)) - 60);
  return (start > 0 ? "…" : "") + text.slice(start, start + 200).replace(/\s+/g, " ");
}

/** Conversations under one heading. */
interface ListGroup {
  readonly title: string;
  readonly entries: readonly Summary[];
  /** A folder's name; undefined: it is none. */
  readonly folder: string | undefined;
  /** Conversations of the folder that are not among these: pinned, or too old for the list so far. */
  readonly more: number;
}

/** Pinned, then all folders by name, then the others. */
export function groupsOf(list: readonly Summary[], folders: State["folders"]): ListGroup[] {
  const pinned = list.filter((one) => one.pinned);
  const inside = Map.groupBy(list.filter((one) => !one.pinned), ({ folder }) => folder ?? "");
  const plain = (title: string, entries: readonly Summary[]): ListGroup[] =>
    entries.length > 0 ? [{ title, entries, folder: undefined, more: 0 }] : [];
  return [
    ...plain("Pinned", pinned),
    ...folders.toSorted((a, b) => a.name.localeCompare(b.name)).map(({ name, conversations }) => {
      const entries = inside.get(name) ?? [];
      return { title: name, entries, folder: name, more: conversations - entries.length };
    }),
    ...plain("Conversations", inside.get("") ?? []),
  ];
}

interface GroupProps {
  readonly actions: Actions;
  readonly title: string;
  readonly entries: readonly Summary[];
  readonly children?: ComponentChildren;
}

function Group({ actions, title, entries, children }: GroupProps) {
  const { open } = actions.state;
  return (
    <>
      <h2>
        <Visible text={title} />
      </h2>
      <ul>
        {entries.map((entry) => (
          <li key={entry.id}>
            <button
              type="button"
              class="entry"
              aria-current={entry.id === open.id ? "true" : undefined}
              onClick={() => actions.library.open(entry.id)}
            >
              <Visible
                text={entry.damaged ? "Damaged: cannot be opened" : entry.title || "Untitled"}
              />
            </button>
          </li>
        ))}
      </ul>
      {children}
    </>
  );
}
