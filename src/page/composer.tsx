/// <reference lib="dom" />
/** Where a person types. Enter sends, Shift+Enter begins a line. */
import { useEffect, useRef } from "preact/hooks";
import type { Actions } from "./actions.ts";

export function Composer({ actions }: { actions: Actions }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const { open, model } = actions.state;
  useEffect(() => box.current?.focus(), [open.id]);
  const send = () => {
    const text = box.current!.value.trim();
    if (text === "" || actions.isBusy() || model === "") return;
    box.current!.value = "";
    grow(box.current!);
    void actions.send({ text });
  };
  return (
    <div class="composer" role="group" aria-label="Your message">
      <textarea
        id="question"
        ref={box}
        rows={1}
        dir="auto"
        aria-label="Ask a question"
        placeholder="Ask something. It stays on this machine."
        onInput={(event) => grow(event.currentTarget)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      {actions.isBusy()
        ? <button type="button" class="stop" onClick={() => actions.stop()}>Stop</button>
        : <button type="button" class="primary" onClick={send}>Send</button>}
    </div>
  );
}

/** As many lines as there are, up to a third of the window. */
function grow(box: HTMLTextAreaElement): void {
  const lines = box.value.split("\n").length + Math.floor(box.value.length / 90);
  box.rows = Math.min(12, Math.max(1, lines));
}
