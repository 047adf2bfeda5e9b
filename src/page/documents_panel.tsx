/// <reference lib="dom" />
/** The documents that this user keeps, sealed: look questions up in them, erase them; and move in from other programs. */
import { useEffect, useState } from "preact/hooks";
import type { DocumentSummary, EmbeddingReport } from "../api/documents.ts";
import type { Actions } from "./actions.ts";
import { ApiError } from "./api.ts";
import { documents, embedding, eraseDocument, setEmbedding } from "./documents.ts";
import { takeFiles } from "./files.ts";
import { takeChosenFolder } from "./folders.ts";
import { importFile } from "./history.ts";
import { Dialog } from "./link_dialog.tsx";
import { Visible } from "./markdown.tsx";
import { plural } from "../plural.ts";

const PASSAGES_STAY = "Passages that went with a question stay in its conversation.";

export function DocumentsPanel({ actions, onEnd }: { actions: Actions; onEnd: () => void }) {
  const [list, setList] = useState<readonly DocumentSummary[]>();
  const [said, setSaid] = useState("");
  const { store, state: { sources } } = actions;
  const failed = (error: unknown) => setSaid(error instanceof ApiError ? error.message : "failed");
  const read = () => documents().then(setList, failed);
  useEffect(() => void read(), []);
  const erase = async ({ id, name }: DocumentSummary) => {
    try {
      await eraseDocument(id);
      store.set({ sources: store.state.sources.filter((one) => one.id !== id) });
      setSaid(`Erased: ${name}. ${PASSAGES_STAY}`);
    } catch (error) {
      failed(error);
    }
    await read();
  };
  const moveIn = async (file: File | undefined) => {
    if (!file) return;
    try {
      const { format, imported, messages, skipped } = await importFile(file);
      setSaid(
        `${format}: ${plural(imported, "conversation")}, ${plural(messages, "message")}; ` +
          `left out: ${skipped}`,
      );
      await actions.library.refresh();
    } catch (error) {
      failed(error);
    }
  };
  return (
    <Dialog title="Documents" onEnd={onEnd}>
      <p role="status">
        <Visible text={said} />
      </p>
      <ul class="prompts">
        {(list ?? []).map((one) => (
          <li key={one.id}>
            <label class="check">
              <input
                type="checkbox"
                checked={sources.some(({ id }) => id === one.id)}
                disabled={one.damaged === true}
                onChange={({ currentTarget }) => {
                  const others = sources.filter(({ id }) => id !== one.id);
                  const next = { id: one.id, name: one.name };
                  store.set({ sources: currentTarget.checked ? [...others, next] : others });
                }}
              />
              <Visible text={one.damaged ? "Damaged: cannot be opened" : one.name} />
              <span class="soft">
                {one.pages === null ? "" : `${plural(one.pages, "page")}, `}
                {plural(one.passages, "passage")}
              </span>
            </label>
            <button type="button" aria-label={`Erase ${one.name}`} onClick={() => erase(one)}>
              Erase
            </button>
          </li>
        ))}
      </ul>
      {list?.length === 0 && <p class="soft">None yet. Those that are ticked are looked up in.</p>}
      <Embedding actions={actions} list={list} failed={failed} />
      <label class="field">
        Add PDF or DOCX
        <input
          type="file"
          multiple
          accept=".pdf,.docx"
          onChange={async ({ currentTarget }) => {
            await takeFiles(actions, [...currentTarget.files ?? []]);
            currentTarget.value = "";
            await read();
          }}
        />
      </label>
      <label class="field">
        Add a folder
        <input
          type="file"
          {...{ webkitdirectory: true }}
          onChange={async ({ currentTarget }) => {
            await takeChosenFolder(actions, [...currentTarget.files ?? []]);
            currentTarget.value = "";
            await read();
          }}
        />
      </label>
      <label class="field">
        Take up conversations of ChatGPT, Claude, Open WebUI, Ollama's app or another SecLlama
        <input
          type="file"
          accept=".json,.sqlite,.db"
          onChange={async ({ currentTarget }) => {
            await moveIn(currentTarget.files?.[0]);
            currentTarget.value = "";
          }}
        />
      </label>
    </Dialog>
  );
}

/** Which model makes embeddings of the documents: with none, passages are found by their words alone. */
function Embedding({ actions, list, failed }: {
  actions: Actions;
  list: readonly DocumentSummary[] | undefined;
  failed: (error: unknown) => void;
}) {
  const [report, setReport] = useState<EmbeddingReport>();
  useEffect(() => void embedding().then(setReport, () => {}), [list]);
  const { models } = actions.state;
  const names = models.map(({ name }) => name);
  const chosen = report?.model ?? "";
  return (
    <label class="field">
      Find passages by words, and by embeddings of
      <select
        value={chosen}
        onChange={({ currentTarget }) => {
          setEmbedding(currentTarget.value || null).then(setReport, (error) => {
            currentTarget.value = chosen;
            failed(error);
          });
        }}
      >
        <option value="">no model</option>
        {[...new Set([...names, ...chosen ? [chosen] : []])].map((name) => (
          <option key={name} value={name}>{name}</option>
        ))}
      </select>
      {report?.model && (
        <span class="soft">
          {report.embedded} of {plural(report.passages, "passage")} with embeddings
          {report.error ? `; it stopped: ${report.error}` : ""}
        </span>
      )}
    </label>
  );
}
