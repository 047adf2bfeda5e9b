/// <reference lib="dom" />
/**
 * Files that were dropped, pasted or chosen: texts become attachments, pictures go to models that see, PDF and DOCX are read and kept
 * by the proxy. They go nowhere else.
 */
import { decodedText } from "../api/decoding.ts";
import { scanNote } from "../api/documents.ts";
import type { Actions } from "./actions.ts";
import { ApiError } from "./api.ts";
import { addDocument, isDocument, scanOf } from "./documents.ts";
import { pictureOf } from "./pictures.ts";

const MAX_TEXT = 20 << 20;
const MAX_FILES = 50;

/** Takes files up, and says which ones not and why. */
export async function takeFiles(actions: Actions, files: readonly File[]): Promise<void> {
  for (const file of files.slice(0, MAX_FILES)) {
    const problem = file.type.startsWith("image/")
      ? await picture(actions, file)
      : isDocument(file.name)
      ? await documentOrScan(actions, file)
      : await textFile(actions, file);
    if (problem) {
      const [text, hint] = typeof problem === "string" ? [problem] : [problem.text, problem.hint];
      return actions.store.set({
        notice: { kind: "error", text: `${file.name}: ${text}`, ...(hint ? { hint } : {}) },
      });
    }
  }
  if (files.length > MAX_FILES) {
    actions.store.set({
      notice: { kind: "error", text: `Only the first ${MAX_FILES} were taken` },
    });
  }
}

async function picture(actions: Actions, file: File): Promise<string | undefined> {
  await actions.capabilitiesKnown;
  const { store } = actions;
  if (!store.state.capabilities.includes("vision")) return "this model does not see pictures";
  try {
    const image = await pictureOf(file);
    store.set({ images: [...store.state.images, image] });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : "it cannot be read";
  }
}

/** A PDF without text may be one that a scanner made: its pages go along as pictures, to a model that sees. */
async function documentOrScan(
  actions: Actions,
  file: File,
): Promise<string | { readonly text: string; readonly hint: string | undefined } | undefined> {
  const problem = await takeDocument(actions, file);
  if (problem === undefined || !/\.pdf$/i.test(file.name)) return problem;
  await actions.capabilitiesKnown;
  const { store } = actions;
  if (!store.state.capabilities.includes("vision")) {
    const hint = "If its pages were scanned: choose a model that sees pictures";
    return { text: problem, hint };
  }
  try {
    const scan = await scanOf(file);
    const note = scanNote(scan, (next) => `split the file for those from ${next} on`);
    store.set({
      images: [...store.state.images, ...scan.scanned.map(({ image }) => image)],
      notice: { kind: "done", text: `${file.name}: ${note}` },
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError)) return problem;
    return { text: error.message, hint: error.hint };
  }
}

/** Has a file kept, of a folder under its path there, and looked up in. Says why not. */
export async function takeDocument(
  { store }: Actions,
  file: File,
  path = file.name,
): Promise<string | undefined> {
  try {
    const { id, name } = await addDocument(file, path);
    // The older one of that name is gone.
    const others = store.state.sources.filter((one) => one.name !== name);
    store.set({ sources: [...others, { id, name }] });
    return undefined;
  } catch (error) {
    return error instanceof ApiError ? error.message : "it could not be sent";
  }
}

async function textFile({ store }: Actions, file: File): Promise<string | undefined> {
  if (file.size > MAX_TEXT) return "larger than 20 MB";
  const isHtml = /\.html?$/i.test(file.name);
  const text = decodedText(new Uint8Array(await file.arrayBuffer()), isHtml);
  if (text === undefined) return "not a text";
  store.set({ attachments: [...store.state.attachments, { name: file.name, text }] });
  return undefined;
}
