/// <reference lib="dom" />
/** Above the conversation: what it is called, where it is kept, and what can be done with all of it. */
import { JSON_TYPE, MARKDOWN_TYPE } from "../api/media_types.ts";
import { useRef } from "preact/hooks";
import type { Actions } from "./actions.ts";
import { copyText } from "./clipboard.ts";
import { download, fileNameOf, jsonOf, markdownOf } from "./export.ts";
import { LineField } from "./field.tsx";

export function Bar({ actions }: { actions: Actions }) {
  const { open, keeping } = actions.state;
  const { library } = actions;
  const empty = open.messages.length === 0;
  const more = useRef<HTMLDetailsElement>(null);
  const act = (what: () => unknown) => () => {
    more.current?.removeAttribute("open");
    void what();
  };
  return (
    <div class="bar">
      <LineField
        class="title"
        aria-label="Title of the conversation"
        value={open.title}
        maxLength={200}
        onTake={(text) => library.change({ title: text.trim() || "Untitled" })}
      />
      {open.temporary
        ? (
          <span class="badge" title="Never written down. It is gone when this tab closes.">
            temporary
          </span>
        )
        : keeping.kind === "kept" && (
          <span class="badge good" title="Sealed on this machine, under a key of its own">
            kept, sealed
          </span>
        )}
      {empty && keeping.kind === "kept" && keeping.writable && (
        <label class="check">
          <input
            type="checkbox"
            checked={open.temporary}
            onChange={(event) => library.setTemporary(event.currentTarget.checked)}
          />
          do not keep
        </label>
      )}
      <button type="button" onClick={() => actions.store.set({ panel: "settings" })}>
        Settings
      </button>
      <details
        class="menu"
        ref={more}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          event.currentTarget.removeAttribute("open");
          event.currentTarget.querySelector("summary")?.focus();
        }}
      >
        <summary>More</summary>
        <div class="menu-items">
          {!open.temporary && !empty && (
            <>
              <button type="button" onClick={act(() => library.change({ pinned: !open.pinned }))}>
                {open.pinned ? "Unpin" : "Pin"}
              </button>
              <label>
                Folder{" "}
                <LineField
                  value={open.folder ?? ""}
                  maxLength={100}
                  onTake={(text) => library.change({ folder: text.trim() })}
                />
              </label>
            </>
          )}
          <button
            type="button"
            disabled={empty}
            onClick={act(async () => {
              const copied = await copyText(markdownOf(open));
              if (copied) actions.done("Copied as Markdown");
              else actions.notDone("This browser did not let it be copied", "Save as Markdown");
            })}
          >
            Copy as Markdown
          </button>
          <button
            type="button"
            disabled={empty}
            onClick={act(() =>
              download(fileNameOf(open.title, "md"), MARKDOWN_TYPE, markdownOf(open))
            )}
          >
            Save as Markdown
          </button>
          <button
            type="button"
            disabled={empty}
            onClick={act(() => download(fileNameOf(open.title, "json"), JSON_TYPE, jsonOf(open)))}
          >
            Save as JSON
          </button>
          <button type="button" disabled={empty} onClick={act(() => globalThis.print())}>
            Print
          </button>
          <button type="button" class="stop" disabled={empty} onClick={act(() => library.remove())}>
            Delete
          </button>
        </div>
      </details>
    </div>
  );
}
