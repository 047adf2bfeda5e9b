/// <reference lib="dom" />
/** One message: what it says, what it is about, and what can be done with it. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Stats } from "../api/reply_lines.ts";
import type { Actions } from "./actions.ts";
import { copyText } from "./clipboard.ts";
import type { Running } from "./state.ts";
import { Markdown, Plain, Visible } from "./markdown.tsx";
import { ReceiptLine } from "./receipt.tsx";
import { branchOf } from "./tree.ts";
import type { Message } from "./types.ts";
import { plural } from "../plural.ts";

interface Props {
  readonly actions: Actions;
  readonly message: Message;
  /** If it comes just now. */
  readonly running: Running | undefined;
}

/** A message of the path. */
export function MessageView({ actions, message, running }: Props) {
  const [editing, setEditing] = useState(false);
  const mine = message.role === "user";
  const { progress } = running ?? {};
  const content = progress?.content ?? message.content;
  const thinking = progress?.thinking ?? message.thinking ?? "";
  const calls = progress?.toolCalls ?? message.toolCalls ?? [];
  const busy = actions.isBusy();
  return (
    <article
      class={`message ${message.role}`}
      id={`m-${message.id}`}
      tabIndex={-1}
      data-message={message.id}
      aria-label={mine ? "You" : `Answer of ${message.model ?? "the model"}`}
      aria-busy={running !== undefined}
    >
      <header>
        <span class="who">{mine ? "You" : message.model ?? "Model"}</span>
        <Branches actions={actions} message={message} />
      </header>
      {message.attachments && message.attachments.length > 0 && (
        <section class="given" aria-label="Given to the model with it">
          {message.attachments.map(({ name, where, text }, at) => (
            <details class="attachment" key={at}>
              <summary>
                <Visible text={name} />
                {where && `, ${where}`}
              </summary>
              <Plain text={text} />
            </details>
          ))}
        </section>
      )}
      {message.damaged && (
        <p class="error">This message was changed or cut on the disk: it cannot be opened.</p>
      )}
      {message.images?.map((image, i) => <Picture key={i} base64={image} />)}
      {thinking !== "" && (
        <details class="thinking">
          <summary>{running && content === "" ? "Thinking…" : "Thoughts"}</summary>
          <Plain text={thinking} />
        </details>
      )}
      {editing
        ? <Edit actions={actions} message={message} onEnd={() => setEditing(false)} />
        : mine
        ? <Plain text={content} />
        : <Markdown text={content} onLink={(link) => actions.store.set({ link })} />}
      {calls.map((call) => (
        <details class="tool-call" open>
          <summary>
            Tool call: <Visible text={String(call.function?.name)} />
          </summary>
          <pre
            tabIndex={0}
          ><Visible text={JSON.stringify(call.function?.arguments, null, 2) ?? ""} /></pre>
        </details>
      ))}
      {!mine && !running && isEmpty(message) && <p class="soft">The model said nothing.</p>}
      {running && <Working running={running} actions={actions} />}
      {message.error && (
        <p class="error" role="alert">
          <Visible text={message.error.error} />
          {message.error.hint && (
            <span class="hint">
              <Visible text={message.error.hint} />
            </span>
          )}
        </p>
      )}
      {!mine && <Sources actions={actions} message={message} />}
      {!running && !editing && (
        <footer>
          {message.stats && <EndLine stats={message.stats} />}
          {message.stats && <StatsLine stats={message.stats} />}
          <CopyButton text={content} />
          {mine && !busy && (
            <button type="button" data-act="edit" onClick={() => setEditing(true)}>Edit</button>
          )}
          {!mine && !busy && (
            <button
              type="button"
              data-act="regenerate"
              onClick={() => actions.regenerate(message)}
            >
              Regenerate
            </button>
          )}
        </footer>
      )}
    </article>
  );
}

/** The passages that the question was asked with, numbered as the model was told to name them. */
function Sources({ actions, message }: Pick<Props, "actions" | "message">) {
  const question = actions.state.open.messages.find(({ id }) => id === message.parent);
  const given = question?.attachments ?? [];
  if (!given.some(({ where }) => where)) return null;
  return (
    <section class="given sources" aria-label="Passages that it was given">
      {given.map(({ name, where, text }, at) => (
        <details class="attachment" key={at}>
          <summary>
            [{at + 1}] <Visible text={name} />
            {where && `, ${where}`}
          </summary>
          <Plain text={text} />
        </details>
      ))}
    </section>
  );
}

function Branches({ actions, message }: Pick<Props, "actions" | "message">) {
  const { at, of } = branchOf(actions.state.open, message);
  if (of < 2) return null;
  return (
    <span class="branches">
      <button
        type="button"
        disabled={at === 1}
        aria-label="Earlier version"
        data-act="branch-back"
        onClick={() => actions.branch(message, -1)}
      >
        ‹
      </button>
      {at} of {of}
      <button
        type="button"
        disabled={at === of}
        aria-label="Later version"
        data-act="branch-on"
        onClick={() => actions.branch(message, 1)}
      >
        ›
      </button>
    </span>
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    setCopied(await copyText(text));
    setTimeout(() => setCopied(false), 2000);
  };
  return <button type="button" data-act="copy" onClick={copy}>{copied ? "Copied" : "Copy"}</button>;
}

function Edit(
  { actions, message, onEnd }: Pick<Props, "actions" | "message"> & { onEnd: () => void },
) {
  const box = useRef<HTMLTextAreaElement>(null);
  // Before anything else is typed: an effect would come a frame later.
  useLayoutEffect(() => box.current?.focus(), []);
  const send = async () => {
    const text = box.current!.value.trim();
    // What was typed is not lost with what failed.
    if (text === "" || await actions.edit(message, { text })) onEnd();
  };
  return (
    <div class="edit">
      <textarea
        autocomplete="off"
        spellcheck={false}
        ref={box}
        aria-label="Your message, to be asked anew"
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            void send();
          }
          if (event.key === "Escape") {
            event.stopPropagation();
            onEnd();
          }
        }}
      >
        {message.content}
      </textarea>
      <button type="button" class="primary" onClick={send}>Ask again</button>
      <button type="button" onClick={onEnd}>Cancel</button>
    </div>
  );
}

/** The sign that it still works: seconds, pieces, pieces a second. */
function Working({ running, actions }: { running: Running; actions: Actions }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = (Date.now() - running.started) / 1000;
  const { pieces } = running.progress;
  return (
    <p class="working">
      <span class="dot" aria-hidden="true" />
      {pieces === 0
        ? `reading the question, ${seconds.toFixed(0)} s`
        : `${plural(pieces, "token")}, ${(pieces / Math.max(seconds, 0.1)).toFixed(1)} a second, ${
          seconds.toFixed(0)
        } s`}
      <button type="button" class="stop" onClick={() => actions.stop()}>Stop</button>
    </p>
  );
}

/** Whether nothing of an answer can be seen, and nothing says why. */
function isEmpty({ content, thinking, toolCalls, error, damaged, stats }: Message): boolean {
  const said = content.trim() !== "" || Boolean(thinking) || Boolean(toolCalls?.length);
  return !said && !error && !damaged && !stats?.stopped && !stats?.broken;
}

/** Why it is not whole, if it is not. */
function EndLine({ stats: { stopped, broken, cut } }: { stats: Stats }) {
  const why = stopped
    ? "stopped"
    : broken
    ? "broke off: it is not whole"
    : cut
    ? "cut at the most tokens"
    : undefined;
  return why ? <span class="stats">{why}</span> : null;
}

function StatsLine({ stats }: { stats: Stats }) {
  const parts = [
    ...(stats.tokens === undefined ? [] : [plural(stats.tokens, "token")]),
    ...(stats.perSecond === undefined ? [] : [`${stats.perSecond.toFixed(1)} a second`]),
    ...(stats.ms === undefined ? [] : [`${(stats.ms / 1000).toFixed(1)} s`]),
  ];
  return (
    <span class="stats">
      {parts.join(", ")}
      {stats.receipt && <ReceiptLine receipt={stats.receipt} />}
    </span>
  );
}

function Picture({ base64 }: { base64: string }) {
  const [address, setAddress] = useState<string>();
  useEffect(() => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const made = URL.createObjectURL(new Blob([bytes]));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [base64]);
  return address ? <img class="picture" src={address} alt="a picture that you added" /> : null;
}
