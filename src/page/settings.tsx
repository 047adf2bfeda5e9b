/// <reference lib="dom" />
/** What a conversation asks of its model. */
import type { Actions } from "./actions.ts";
import { NumberField, TextField } from "./field.tsx";
import { Dialog } from "./link_dialog.tsx";
import type { Settings } from "./types.ts";

/** Ollama's names, what they mean, and what they may be. */
const OPTIONS: readonly (readonly [name: string, label: string, min: number, step: number])[] = [
  ["temperature", "Temperature: 0 always says the same, 1 varies", 0, 0.1],
  ["top_p", "Top p: of the likeliest tokens, up to this sum", 0, 0.05],
  ["top_k", "Top k: of this many tokens", 0, 1],
  ["repeat_penalty", "Repeat penalty", 0, 0.05],
  ["num_predict", "Longest answer, tokens", 1, 1],
  ["num_ctx", "Context, tokens", 256, 256],
  ["seed", "Seed: the same number, the same answer", 0, 1],
];

export function SettingsPanel({ actions, onEnd }: { actions: Actions; onEnd: () => void }) {
  const { open: { settings }, capabilities } = actions.state;
  const put = (change: Settings) => actions.library.setSettings({ ...settings, ...change });
  const putOption = (name: string, text: string) => {
    const { [name]: _, ...rest } = settings.options ?? {};
    const value = Number(text);
    const options = text.trim() === "" || !Number.isFinite(value)
      ? rest
      : { ...rest, [name]: value };
    void put({ options });
  };
  return (
    <Dialog title="Settings of this conversation" onEnd={onEnd}>
      <label class="field">
        System prompt
        <TextField
          rows={4}
          value={settings.system ?? ""}
          onTake={(system) => void put({ system })}
        />
      </label>
      {capabilities.includes("thinking") && (
        <label class="check">
          <input
            type="checkbox"
            checked={settings.think ?? true}
            onChange={(event) => put({ think: event.currentTarget.checked })}
          />
          Let it think before it answers
        </label>
      )}
      <div class="fields">
        {OPTIONS.map(([name, label, min, step]) => (
          <label class="field" key={name}>
            {label}
            <NumberField
              min={min}
              step={step}
              placeholder="the model's own"
              value={String(settings.options?.[name] ?? "")}
              onTake={(text) => putOption(name, text)}
            />
          </label>
        ))}
      </div>
    </Dialog>
  );
}
