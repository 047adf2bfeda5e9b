/// <reference lib="dom" />
/** The whole page. */
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import type { Actions } from "./actions.ts";
import { Bar } from "./bar.tsx";
import { Composer } from "./composer.tsx";
import { DocumentsPanel } from "./documents_panel.tsx";
import { takeFiles } from "./files.ts";
import { foldersOf, takeFolders } from "./folders.ts";
import { HelpPanel } from "./help.tsx";
import { LinkDialog } from "./link_dialog.tsx";
import { Visible } from "./markdown.tsx";
import { PromptsPanel } from "./prompts.tsx";
import { ProofPanel } from "./proof.tsx";
import { SettingsPanel } from "./settings.tsx";
import { Sidebar } from "./sidebar.tsx";
import type { Panel } from "./state.ts";
import { Thread } from "./thread.tsx";

export function App({ actions }: { actions: Actions }) {
  const [, redraw] = useState(0);
  const [dropping, setDropping] = useState(false);
  // With the first drawing: an effect comes a frame later, in a tab behind others a second, and no change may be missed.
  useLayoutEffect(() => actions.store.subscribe(() => redraw((n) => n + 1)), []);
  const { open, link, panel, theme, sidebar } = actions.state;
  useEffect(() => {
    const { dataset } = document.documentElement;
    if (theme === "system") delete dataset["theme"];
    else dataset["theme"] = theme;
  }, [theme]);
  const end = () => actions.store.set({ panel: "none" });
  return (
    <div
      class={`page${sidebar ? " with-sidebar" : ""}${dropping ? " dropping" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={(event) => event.relatedTarget === null && setDropping(false)}
      onDrop={(event) => {
        event.preventDefault();
        setDropping(false);
        const folders = foldersOf(event.dataTransfer);
        const files = [...event.dataTransfer?.files ?? []];
        // A folder is among the files too, as one that cannot be read.
        if (folders.length === 0) void takeFiles(actions, files);
        else {
          const names = new Set(folders.map(({ name }) => name));
          void takeFiles(actions, files.filter(({ name }) => !names.has(name)))
            .then(() => takeFolders(actions, folders));
        }
      }}
    >
      <Top actions={actions} />
      {sidebar && <Sidebar actions={actions} />}
      <main>
        <Bar actions={actions} key={`bar-${open.id}`} />
        <Thread actions={actions} key={open.id} />
        <Composer actions={actions} />
      </main>
      <NoticeBox actions={actions} />
      {link && <LinkDialog link={link} onEnd={() => actions.store.set({ link: undefined })} />}
      {panel === "settings" && <SettingsPanel actions={actions} onEnd={end} />}
      {panel === "proof" && <ProofPanel actions={actions} onEnd={end} />}
      {panel === "help" && <HelpPanel actions={actions} onEnd={end} />}
      {panel === "documents" && <DocumentsPanel actions={actions} onEnd={end} />}
      {panel === "prompts" && <PromptsPanel actions={actions} onEnd={end} />}
    </div>
  );
}

function Top({ actions }: { actions: Actions }) {
  const { models, model, capabilities, sidebar } = actions.state;
  const show = (panel: Panel) => () => actions.store.set({ panel });
  return (
    <header class="top">
      <button
        type="button"
        aria-expanded={sidebar}
        aria-label="List of conversations"
        onClick={() => actions.store.set({ sidebar: !sidebar })}
      >
        ☰
      </button>
      <h1>SecLlama</h1>
      <label>
        <span class="label">Model</span>
        <select
          id="model"
          aria-label="Model"
          value={model}
          onChange={(event) => actions.chooseModel(event.currentTarget.value)}
        >
          {models.map(({ name, parameters }) => (
            <option value={name} key={name}>{parameters ? `${name} (${parameters})` : name}</option>
          ))}
        </select>
      </label>
      <span class="capabilities">
        {capabilities.filter((one) => one !== "completion").map((one) => (
          <span key={one}>{one}</span>
        ))}
      </span>
      <button type="button" onClick={show("prompts")}>Prompts</button>
      <button type="button" onClick={show("documents")}>Documents</button>
      <button type="button" onClick={show("proof")}>Proof</button>
      <button type="button" onClick={show("help")} aria-label="Keyboard shortcuts">?</button>
    </header>
  );
}

function NoticeBox({ actions }: { actions: Actions }) {
  const { notice } = actions.state;
  if (!notice) return null;
  const { kind, text, hint, undo, undoName = "Undo" } = notice;
  return (
    <aside class={`notice ${kind}`} aria-label="Notice">
      <div role={kind === "error" ? "alert" : "status"}>
        <Visible text={text} />
        {hint && (
          <span class="hint">
            <Visible text={hint} />
          </span>
        )}
      </div>
      {undo && <button type="button" class="primary" onClick={undo}>{undoName}</button>}
      <button type="button" onClick={() => actions.store.set({ notice: undefined })}>Close</button>
    </aside>
  );
}
