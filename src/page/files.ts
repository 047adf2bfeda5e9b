/// <reference lib="dom" />
/**
 * Files that were dropped, pasted or chosen: texts become attachments, pictures go to models that see, PDF and DOCX are read and kept
 * by the proxy. They go nowhere else.
 */
import { decodedText } from "../api/decoding.ts";
import type { Actions } from "./actions.ts";
import { ApiError } from "./api.ts";
import { addDocument, isDocument } from "./documents.ts";
import { pictureOf } from "./pictures.ts";

const MAX_TEXT = 20 << 20;
const MAX_FILES = 50;

/** Takes files up, and says which ones not and why. */
export async function takeFiles(actions: Actions, files: readonly File[]): Promise<void> {
  for (const file of files.slice(0, MAX_FILES)) {
    const problem = file.type.startsWith("image/")
      ? await picture(actions, file)
      : isDocument(file.name)
      ? await takeDocument(actions, file)
      : await textFile(actions, file);
    if (problem) {
      return actions.store.set({ notice: { kind: "error", text: `${file.name}: ${problem}` } });
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
