/// <reference lib="dom" />
/** A link of a model's is shown before it is opened: where it leads, in the form that the browser will ask for. */
import { useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { copyText } from "./clipboard.ts";

/** A window over the page: Escape closes it, the keyboard stays in it. */
export function Dialog(
  { title, onEnd, children }: { title: string; onEnd: () => void; children: ComponentChildren },
) {
  const box = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const { current } = box;
    const before = document.activeElement;
    current?.showModal();
    return () => {
      current?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const end = () => {
    // A field that is taken away with the focus in it would not say that it was changed.
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    onEnd();
  };
  return (
    <dialog ref={box} aria-label={title} onCancel={(event) => (event.preventDefault(), end())}>
      <div class="dialog-head">
        <h2>{title}</h2>
        <button type="button" onClick={end} aria-label={`Close ${title}`}>Close</button>
      </div>
      {children}
    </dialog>
  );
}

export function LinkDialog({ link, onEnd }: { link: URL; onEnd: () => void }) {
  return (
    <Dialog title="A link of the model's" onEnd={onEnd}>
      <p>It leads out of this machine, and its address tells that host what is in it:</p>
      <p class="address">{link.href}</p>
      <p class="buttons">
        <button
          type="button"
          onClick={async () => {
            await copyText(link.href);
            onEnd();
          }}
        >
          Copy address
        </button>
        <a
          class="button"
          href={link.href}
          target="_blank"
          rel="noopener noreferrer"
          onClick={onEnd}
        >
          Open in a new tab
        </a>
      </p>
    </Dialog>
  );
}
