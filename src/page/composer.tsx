/// <reference lib="dom" />
/** Where a person types, with what goes along. Enter sends, Shift+Enter begins a line. */
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Actions } from "./actions.ts";
import { takeFiles } from "./files.ts";
import { Visible } from "./markdown.tsx";
import { chosenOf } from "./passages.ts";
import { plural } from "../plural.ts";

/** More documents are counted. */
const MOST_NAMED = 6;
/** Characters of a paste that go into the field: some twenty pages. */
const MOST_TYPED = 50_000;

export function Composer({ actions }: { actions: Actions }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const files = useRef<HTMLInputElement>(null);
  const { open, model, attachments, images, sources } = actions.state;
  useLayoutEffect(() => box.current?.focus(), [open.id]);
  const send = async () => {
    const text = box.current!.value.trim();
    if (text === "" || actions.isBusy()) return;
    if (model === "") {
      // Some may be there by now.
      if (!await actions.loadModels()) return;
      if (actions.state.model === "") return actions.noModel();
    }
    box.current!.value = "";
    grow(box.current!);
    actions.store.set({ attachments: [], images: [] });
    const chosen = attachments.flatMap((one) => chosenOf(one, text));
    if (await actions.send({ text, images, attachments: chosen, sources })) return;
    // What was typed is not lost with what failed.
    actions.store.set({ attachments, images });
    if (box.current && box.current.value === "") box.current.value = text;
  };
  const leave = (change: Partial<typeof actions.state>) => actions.store.set(change);
  return (
    <div class="composer" role="group" aria-label="Your message">
      {attachments.length + images.length + sources.length > 0 && (
        <ul class="attached" aria-label="Goes along">
          {attachments.map(({ name }, at) => (
            <li key={at}>
              <Visible text={name} />
              <button
                type="button"
                aria-label={`Leave out ${name}`}
                onClick={() =>
                  leave({ attachments: attachments.filter((_, i) => i !== at) })}
              >
                ×
              </button>
            </li>
          ))}
          {sources.length > MOST_NAMED
            ? (
              <li>
                looked up in {plural(sources.length, "document")}
                <button
                  type="button"
                  aria-label="Look up in no documents"
                  onClick={() => leave({ sources: [] })}
                >
                  ×
                </button>
              </li>
            )
            : sources.map(({ id, name }) => (
              <li key={id}>
                looked up in <Visible text={name} />
                <button
                  type="button"
                  aria-label={`Look up no more in ${name}`}
                  onClick={() =>
                    leave({ sources: sources.filter((one) => one.id !== id) })}
                >
                  ×
                </button>
              </li>
            ))}
          {images.map((_, at) => (
            <li key={`i${at}`}>
              picture {at + 1}
              <button
                type="button"
                aria-label={`Leave out picture ${at + 1}`}
                onClick={() => leave({ images: images.filter((_, i) => i !== at) })}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
      <button type="button" onClick={() => files.current!.click()} aria-label="Add files">+</button>
      <input
        ref={files}
        type="file"
        id="files"
        class="sr-only"
        tabIndex={-1}
        aria-label="Files"
        multiple
        onChange={async ({ currentTarget }) => {
          await takeFiles(actions, [...currentTarget.files ?? []]);
          currentTarget.value = "";
          box.current?.focus();
        }}
      />
      <textarea
        autocomplete="off"
        spellcheck={false}
        id="question"
        ref={box}
        rows={1}
        dir="auto"
        aria-label="Ask a question"
        placeholder="Ask something. It stays on this machine."
        onInput={(event) => grow(event.currentTarget)}
        onPaste={(event) => {
          const pasted = pastedFiles(event.clipboardData);
          if (pasted.length === 0) return;
          event.preventDefault();
          void takeFiles(actions, pasted);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void send();
        }}
      />
      {actions.isBusy()
        ? <button type="button" class="stop" onClick={() => actions.stop()}>Stop</button>
        : <button type="button" class="primary" onClick={send}>Send</button>}
    </div>
  );
}

/** What is pasted as files. A text of thousands of lines becomes one: the browser takes seconds to set a field around it. */
function pastedFiles(pasted: DataTransfer | null): File[] {
  const text = pasted?.getData("text") ?? "";
  if (pasted?.files.length || text.length <= MOST_TYPED) return [...pasted?.files ?? []];
  return [new File([text], "pasted.txt")];
}

/** As many lines as there are, up to a third of the window. */
function grow(box: HTMLTextAreaElement): void {
  const lines = box.value.split("\n").length + Math.floor(box.value.length / 90);
  box.rows = Math.min(12, Math.max(1, lines));
}
