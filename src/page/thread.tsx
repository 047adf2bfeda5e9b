/// <reference lib="dom" />
/** The messages of the open conversation, along the path that is shown. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Actions } from "./actions.ts";
import { Visible } from "./markdown.tsx";
import { MessageView } from "./message.tsx";
import { Printing, usePrinting } from "./print.ts";
import { pathOf } from "./tree.ts";

/** Messages that are drawn at once; more on request. */
const DRAWN = 100;
/** Pixels from the end within which what comes is followed. */
const NEAR = 60;

export function Thread({ actions }: { actions: Actions }) {
  const [asked, setAsked] = useState(DRAWN);
  const printing = usePrinting();
  const drawn = printing ? Infinity : asked;
  const box = useRef<HTMLElement>(null);
  const atEnd = useRef(true);
  const path = pathOf(actions.state.open);
  const running = actions.running();
  useLayoutEffect(() => {
    // Reading a height has the browser lay out the whole page.
    if (path.length > 0 && atEnd.current && box.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  });
  const last = path.at(-1);
  return (
    <section
      class="thread"
      ref={box}
      tabIndex={0}
      aria-label="Conversation"
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR;
      }}
    >
      <h1 class="paper">
        <Visible text={actions.state.open.title} />
      </h1>
      {path.length === 0 && (
        <div class="empty">
          <h2>Ask something</h2>
          <p>
            What you type is sealed here and opened only in the model's sandbox, which has no
            network. Drop a text, PDF or DOCX to ask about it. <kbd>?</kbd> shows the shortcuts.
          </p>
        </div>
      )}
      {path.length > drawn && (
        <button type="button" onClick={() => setAsked(asked + DRAWN)}>
          Show earlier messages ({path.length - drawn})
        </button>
      )}
      <Printing.Provider value={printing}>
        {path.slice(-drawn).map((message) => (
          <MessageView
            key={message.id}
            actions={actions}
            message={message}
            running={running?.answer.id === message.id ? running : undefined}
          />
        ))}
      </Printing.Provider>
      {last?.role === "user" && !running && (
        <p>
          This question has no answer yet.{" "}
          <button type="button" onClick={() => actions.answer(last)}>Answer it</button>
        </p>
      )}
      <p class="sr-only" role="status">
        {running
          ? "An answer is coming"
          : last?.role === "assistant"
          ? "The answer is complete"
          : ""}
      </p>
    </section>
  );
}
