/// <reference lib="dom" />
/** The conversations: search, those that are pinned, folders, the rest. */
import type { Actions } from "./actions.ts";
import { Visible } from "./markdown.tsx";
import type { Summary } from "./types.ts";

export function Sidebar({ actions }: { actions: Actions }) {
  const { state, library } = actions;
  const { keeping, list, total, temporaries, query, hits, passages } = state;
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
            <p class="soft" role="status">{hits.length} found</p>
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
            {groupsOf(list).map(([title, entries]) => (
              <Group key={title} actions={actions} title={title} entries={entries} />
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
  const lower = text.toLowerCase();
  const places = query.toLowerCase().split(/\s+/).filter((word) => word !== "")
    .map((word) => lower.indexOf(word)).filter((at) => at >= 0);
  const start = Math.max(0, (places.length === 0 ? 0 : Math.min(...places)) - 60);
  return (start > 0 ? "…" : "") + text.slice(start, start + 200).replace(/\s+/g, " ");
}

/** Pinned, then folders by name, then the others. */
export function groupsOf(list: readonly Summary[]): [title: string, entries: Summary[]][] {
  const pinned = list.filter((one) => one.pinned);
  const folders = Map.groupBy(list.filter((one) => !one.pinned), ({ folder }) => folder ?? "");
  const named = [...folders].filter(([name]) => name !== "")
    .toSorted(([a], [b]) => a.localeCompare(b));
  const rest = folders.get("") ?? [];
  return [
    ...(pinned.length > 0 ? [["Pinned", pinned] as [string, Summary[]]] : []),
    ...named,
    ...(rest.length > 0 ? [["Conversations", rest] as [string, Summary[]]] : []),
  ];
}

function Group(
  { actions, title, entries }: { actions: Actions; title: string; entries: readonly Summary[] },
) {
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
    </>
  );
}
