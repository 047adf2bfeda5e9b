/// <reference lib="dom" />
/** Folders that were dropped or chosen: what can be read of them becomes documents of the proxy's, one after the other. */
import { DOCUMENT_NAME } from "../api/documents.ts";
import type { Actions } from "./actions.ts";
import { takeDocument } from "./files.ts";
import { plural } from "../plural.ts";

/** As many files of all folders together, and so deep: a link may lead around in a circle. */
const MOST_FILES = 500;
const MOST_ENTRIES = 20_000;
const MOST_DEEP = 16;

/** A file, and where it is: folder, folder in it, name. */
interface Placed {
  readonly path: string;
  readonly file: File;
}

/** What was found in folders. */
interface Found {
  readonly files: Placed[];
  /** What could not be read, and why. */
  readonly refused: string[];
  /** There are more than are taken. */
  more: boolean;
}

/** The folders of a drop; to be called before anything is waited for, since the browser then forgets them. */
export function foldersOf(data: DataTransfer | null): FileSystemDirectoryEntry[] {
  const entries = [...data?.items ?? []].map((item) => item.webkitGetAsEntry?.());
  return entries.filter((entry): entry is FileSystemDirectoryEntry => entry?.isDirectory === true);
}

/** Whether a file of a folder is taken: none that is hidden, or in what is. */
function isTaken(path: string): boolean {
  return DOCUMENT_NAME.test(path) && !path.split("/").some((part) => part.startsWith("."));
}

/** Files below dropped folders, in the order of their names. */
async function filesBelow(folders: readonly FileSystemDirectoryEntry[]): Promise<Found> {
  const found: Found = { files: [], refused: [], more: false };
  let seen = 0;
  const orRefused = async <T>({ fullPath }: FileSystemEntry, reading: Promise<T>) => {
    try {
      return await reading;
    } catch {
      found.refused.push(`${fullPath.slice(1)}: not readable`);
      return undefined;
    }
  };
  const walk = async (folder: FileSystemDirectoryEntry, deep: number): Promise<void> => {
    if (deep > MOST_DEEP) return void (found.more = true);
    const entries: FileSystemEntry[] = [];
    const reader = folder.createReader();
    for (;;) {
      const part = await orRefused(
        folder,
        new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)),
      ) ?? [];
      if (part.length === 0) break;
      entries.push(...part);
      if ((seen += part.length) > MOST_ENTRIES) return void (found.more = true);
    }
    for (const entry of entries.toSorted((a, b) => a.name < b.name ? -1 : 1)) {
      if (found.files.length >= MOST_FILES) return void (found.more = true);
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory) await walk(entry as FileSystemDirectoryEntry, deep + 1);
      else if (isTaken(entry.name)) {
        const file = await orRefused(
          entry,
          new Promise<File>((resolve, reject) =>
            (entry as FileSystemFileEntry).file(resolve, reject)
          ),
        );
        if (file !== undefined) found.files.push({ path: entry.fullPath.slice(1), file });
      }
    }
  };
  for (const folder of folders) await walk(folder, 1);
  return found;
}

/** Takes dropped folders up. */
export async function takeFolders(
  actions: Actions,
  folders: readonly FileSystemDirectoryEntry[],
): Promise<void> {
  try {
    await take(actions, await filesBelow(folders));
  } catch {
    actions.store.set({ notice: { kind: "error", text: "A folder could not be read" } });
  }
}

/** Takes up what a folder that was chosen has, as the browser lists it. */
export async function takeChosenFolder(actions: Actions, files: readonly File[]): Promise<void> {
  const fitting = files.filter((file) =>
    isTaken(file.webkitRelativePath.split("/").slice(1).join("/"))
  );
  await take(actions, {
    files: fitting.slice(0, MOST_FILES).map((file) => ({ path: file.webkitRelativePath, file })),
    refused: [],
    more: fitting.length > MOST_FILES,
  });
}

/** Says how far it is, and in the end what was left out; what is taken is looked up in. */
async function take(actions: Actions, { files, refused: unread, more }: Found): Promise<void> {
  const { store } = actions;
  let stopped = false;
  const refused = [...unread];
  for (const [at, { path, file }] of files.entries()) {
    const notice = {
      kind: "done",
      text: `Reading ${at + 1} of ${files.length}: ${path}`,
      undo: () => void (stopped = true),
      undoName: "Stop",
    } as const;
    store.set({ notice });
    const problem = await takeDocument(actions, file, path);
    if (problem) refused.push(`${path}: ${problem}`);
    if (stopped) break;
  }
  const all = files.length + unread.length;
  const done = `${all - refused.length} of ${plural(all, "document")} taken`;
  const text = all === 0
    ? "There is nothing in it that can be read"
    : stopped
    ? "Stopped; what was read is among the documents"
    : more
    ? `${done}; there are more: drop parts of the folder`
    : done;
  const hint = refused.slice(0, 5).join("; ");
  store.set({
    notice: {
      kind: refused.length > 0 || more || all === 0 ? "error" : "done",
      text,
      ...(hint === "" ? {} : { hint }),
    },
  });
}
