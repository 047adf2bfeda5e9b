/// <reference lib="dom" />
/** Texts that a person uses again and again, sealed like the history. */
import { useEffect, useState } from "preact/hooks";
import { ROUTES } from "../api/routes.ts";
import type { Actions } from "./actions.ts";
import { ApiError, ask } from "./api.ts";
import { Dialog } from "./link_dialog.tsx";
import { Visible } from "./markdown.tsx";

interface Prompt {
  readonly title: string;
  readonly text: string;
}

/** Of several alike, one goes. */
function withoutOne(kept: readonly Prompt[], { title, text }: Prompt): readonly Prompt[] {
  const at = kept.findIndex((one) => one.title === title && one.text === text);
  return kept.filter((_, i) => i !== at);
}

export function PromptsPanel({ actions, onEnd }: { actions: Actions; onEnd: () => void }) {
  const [prompts, setPrompts] = useState<readonly Prompt[]>();
  const [why, setWhy] = useState("");
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const failed = (error: unknown) => setWhy(error instanceof ApiError ? error.message : "failed");
  useEffect(() => {
    read().then(setPrompts, failed);
  }, []);
  const read = async () => (await ask<{ prompts: Prompt[] }>(ROUTES.prompts.path)).prompts;
  /** Of what is kept by now: another tab may have changed it. Says whether it is kept. */
  const change = async (make: (kept: readonly Prompt[]) => readonly Prompt[]) => {
    try {
      const next = make(await read());
      await ask(ROUTES.prompts.path, { method: "PUT", body: { prompts: next } });
      setPrompts(next);
      setWhy("");
      return true;
    } catch (error) {
      failed(error);
      return false;
    }
  };
  const use = (prompt: Prompt) => {
    onEnd();
    setTimeout(() => {
      const box = document.querySelector<HTMLTextAreaElement>("#question");
      if (!box) return;
      box.value = prompt.text;
      box.dispatchEvent(new Event("input", { bubbles: true }));
      box.focus();
    });
  };
  return (
    <Dialog title="Prompts" onEnd={onEnd}>
      {why !== "" && <p class="error" role="alert">{why}</p>}
      <ul class="prompts">
        {(prompts ?? []).map((prompt, at) => (
          <li key={at}>
            <button type="button" class="entry" onClick={() => use(prompt)}>
              <Visible text={prompt.title} />
              <span class="soft">
                <Visible text={prompt.text.slice(0, 100)} />
              </span>
            </button>
            <button
              type="button"
              aria-label={`New conversation with ${prompt.title} as system prompt`}
              onClick={() => {
                onEnd();
                actions.library.begin(false, { system: prompt.text });
              }}
            >
              As system prompt
            </button>
            <button
              type="button"
              aria-label={`Remove ${prompt.title}`}
              onClick={() => change((kept) => withoutOne(kept, prompt))}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
      {prompts && (
        <>
          <label class="field">
            Name
            <input
              autocomplete="off"
              spellcheck={false}
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          <label class="field">
            Text
            <textarea
              autocomplete="off"
              spellcheck={false}
              rows={4}
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
          <button
            type="button"
            class="primary"
            disabled={name.trim() === "" || text.trim() === ""}
            onClick={async () => {
              if (!await change((kept) => [...kept, { title: name.trim(), text }])) return;
              setName("");
              setText("");
            }}
          >
            Add
          </button>
        </>
      )}
    </Dialog>
  );
}
