/// <reference lib="dom" />
/** The whole page. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Actions } from "./actions.ts";
import { Composer } from "./composer.tsx";
import { Visible } from "./markdown.tsx";
import { MessageView } from "./message.tsx";
import { LinkDialog } from "./link_dialog.tsx";
import { pathOf } from "./tree.ts";

/** Messages that are drawn at once; more on request. */
const DRAWN = 100;

export function App({ actions }: { actions: Actions }) {
  const [, redraw] = useState(0);
  useEffect(() => actions.store.subscribe(() => redraw((n) => n + 1)), []);
  const { models, model, capabilities, open, notice, link } = actions.state;
  return (
    <>
      <header class="top">
        <h1>SecLlama</h1>
        <label>
          <span class="label">Model</span>
          <select
            value={model}
            onChange={(event) => actions.chooseModel(event.currentTarget.value)}
          >
            {models.map(({ name }) => <option value={name}>{name}</option>)}
          </select>
        </label>
        <span class="capabilities">
          {capabilities.filter((one) => one !== "completion").map((one) => <span>{one}</span>)}
        </span>
        <button type="button" onClick={() => actions.newConversation()}>New</button>
      </header>
      <main>
        <Thread actions={actions} key={open.id} />
        <Composer actions={actions} />
      </main>
      {notice && (
        <div class={`notice ${notice.kind}`} role={notice.kind === "error" ? "alert" : "status"}>
          <Visible text={notice.text} />
          {notice.hint && (
            <span class="hint">
              <Visible text={notice.hint} />
            </span>
          )}
          <button
            type="button"
            onClick={() =>
              actions.store.set({ notice: undefined })}
          >
            Close
          </button>
        </div>
      )}
      {link && <LinkDialog link={link} onEnd={() => actions.store.set({ link: undefined })} />}
    </>
  );
}

function Thread({ actions }: { actions: Actions }) {
  const [drawn, setDrawn] = useState(DRAWN);
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const path = pathOf(actions.state.open);
  const running = actions.running();
  useLayoutEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  return (
    <section
      class="thread"
      ref={box}
      tabIndex={0}
      aria-label="Conversation"
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        atEnd.current = scrollHeight - scrollTop - clientHeight < 60;
      }}
    >
      {path.length === 0 && (
        <div class="empty">
          <h2>Ask something</h2>
          <p>
            What you type is sealed here and opened only in the model's sandbox, which has no
            network.
          </p>
        </div>
      )}
      {path.length > drawn && (
        <button type="button" onClick={() => setDrawn(drawn + DRAWN)}>
          Show {path.length - drawn} earlier messages
        </button>
      )}
      {path.slice(-drawn).map((message) => (
        <MessageView
          key={message.id}
          actions={actions}
          message={message}
          running={running?.message === message.id ? running : undefined}
        />
      ))}
      <p class="sr-only" role="status">{running ? "An answer is coming" : ""}</p>
    </section>
  );
}
