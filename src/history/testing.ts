/** Helpers of this folder's tests: a data folder with a history, and what lies in its files. */
import { join } from "node:path";
import { lettersOf } from "../../tests/support/letters.ts";
import { parseJsonObject } from "../api/body.ts";
import { utf8 } from "../bytes.ts";
import { type Call, CALLS, type HistoryBytes, type HistoryCalls } from "./calls.ts";
import { writtenAs } from "./export.ts";
import { historyFolder } from "./folder.ts";
import { History } from "./history.ts";
import { readMessage } from "./shapes.ts";
import type { VaultKey } from "./vault.ts";

export interface Place {
  readonly dataDir: string;
  /** A new connection under the same key each time. */
  open(): History;
  /** That key, each time anew. */
  vault(): VaultKey[];
  /** Everything that lies in the history's folder, by file. */
  bytes(): Map<string, Uint8Array>;
  /** The clock of histories opened here, unix ms. */
  now: number;
}

/** Runs `test` with a data folder that is removed afterwards. */
export async function withPlace(test: (place: Place) => Promise<void> | void): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-history-" });
  const key: VaultKey = {
    id: "0011223344556677",
    key: crypto.getRandomValues(new Uint8Array(32)),
  };
  const place: Place = {
    dataDir,
    now: 1_800_000_000_000,
    open: () => new History({ dataDir, vault: place.vault(), now: () => place.now }),
    vault: () => [{ ...key, key: key.key.slice() }],
    bytes: () => bytesOf(historyFolder(dataDir)),
  };
  try {
    await test(place);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

/**
 * Runs `test` with a folder in memory where there is one, else on the disk, and removes it. A kill leaves the same in both: what the
 * kernel was given. What a power cut leaves is computed from the calls (testing_writes.ts).
 */
export async function withQuickFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const prefix = "secllama-kill-";
  const folder = await Deno.makeTempDir({ dir: "/dev/shm", prefix })
    .catch(() => Deno.makeTempDir({ prefix }));
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A program as one file: it starts in a tenth of the time. @param to Its path without an ending. @returns Its path. */
export async function bundled(to: string, source: string): Promise<string> {
  await Deno.writeTextFile(`${to}.ts`, source);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--frozen", "--config", config, "--platform=deno"],
      ...["--output", `${to}.js`, `${to}.ts`],
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return `${to}.js`;
}

/** A history of this thread, as the routes ask the one of the history's. */
export function serviceOf(history: History): HistoryBytes & { readonly history: HistoryCalls } {
  const call = async (name: Call, values: readonly unknown[]) =>
    await (history[name] as (...values: readonly unknown[]) => unknown)(...values);
  const calls = CALLS.map((name) => [name, (...values: unknown[]) => call(name, values)]);
  return {
    history: Object.fromEntries(calls),
    written: async (as, name, ...values) => writtenAs(as, await call(name, values)),
    appendJson: async (id, body) =>
      await Promise.resolve(history.append(id, readMessage(parseJsonObject(body)))),
  };
}

/** The files below a folder with their bytes. */
export function bytesOf(folder: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (isDirectory) { for (const [inner, bytes] of bytesOf(path)) found.set(inner, bytes); }
    else found.set(path, Deno.readFileSync(path));
  }
  return found;
}

/** Whether `wanted` is in any of the files. */
export function holds(files: ReadonlyMap<string, Uint8Array>, wanted: Uint8Array | string) {
  const letters = lettersOf(typeof wanted === "string" ? utf8(wanted) : wanted);
  return [...files.values()].some((bytes) => lettersOf(bytes).includes(letters));
}

/** A message of the user's. */
export const said = (content: string, parent: string | null = null) => ({
  parent,
  role: "user" as const,
  content,
});
