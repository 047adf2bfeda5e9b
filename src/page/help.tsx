/// <reference lib="dom" />
/** The shortcuts, and whether single letters are any. */
import type { Actions } from "./actions.ts";
import { OTHER_KEYS, SHORTCUTS } from "./keys.ts";
import { Dialog } from "./link_dialog.tsx";

export function HelpPanel({ actions, onEnd }: { actions: Actions; onEnd: () => void }) {
  const rows = [...OTHER_KEYS, ...SHORTCUTS.map(({ key, name }) => [key, name] as const)];
  return (
    <Dialog title="Keyboard" onEnd={onEnd}>
      <dl class="keys">
        {rows.map(([key, name]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{name}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={actions.state.singleKeys}
          onChange={(event) => actions.store.set({ singleKeys: event.currentTarget.checked })}
        />
        Single letters are shortcuts
      </label>
    </Dialog>
  );
}
