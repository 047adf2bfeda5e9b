/** The history in a thread of its own, as the proxy has it. */
import { join } from "node:path";
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { wipe } from "../secret.ts";
import { PROGRAM, startWorker } from "../worker.ts";
import {
  type Answer,
  type Call,
  CALLS,
  errorOf,
  type HistoryBytes,
  type HistoryCalls,
  type Question,
  type Written,
} from "./calls.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import type { VaultKey } from "./vault.ts";

/** The running thread. */
interface HistoryThread extends HistoryBytes {
  readonly history: HistoryCalls;
  /** Opens the history before somebody asks for it, if there is one. */
  warm(): Promise<void>;
  /** Settles when its program was read, or could not be. Until then this process must keep its rights: the reading goes by them. */
  readonly loaded: Promise<void>;
  /** Closes the database. Without it nothing is lost either. */
  close(): Promise<void>;
}

/** The memory of a file, if nothing else is in it. It is moved: a copy of the largest would stop this loop for seconds. */
function fileOf(value: unknown): ArrayBuffer[] {
  const whole = value instanceof Uint8Array && value.byteLength === value.buffer.byteLength;
  return whole ? [value.buffer as ArrayBuffer] : [];
}

type Unnumbered<T> = T extends unknown ? Omit<T, "id"> : never;

/**
 * Starts the thread. Until `loaded` settles this process must be able to read the program, and to read and write the folder.
 * @param o `vault`: asked at the first call, and again after it failed; the keys are taken over.
 */
export function startHistoryThread(
  o: { dataDir: string; vault: () => Promise<readonly VaultKey[]> },
): HistoryThread {
  const folder = historyFolder(o.dataDir);
  // It starts the threads that read documents, which are of this program's files.
  const worker = startWorker("history/worker_main", {
    read: [folder, PROGRAM],
    write: [folder],
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let [count, closed] = [0, false];
  let opening: Promise<void> | undefined;
  const ended = () =>
    new SecLlamaError("history-io", "the history's thread has ended", {
      hint: "start the proxy again",
    });
  const end = () => {
    closed = true;
    for (const one of waiting.values()) one.reject(ended());
    waiting.clear();
  };
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    const one = waiting.get(data.id);
    waiting.delete(data.id);
    if ("failure" in data) one?.reject(errorOf(data.failure));
    else one?.resolve(data.value);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    end();
  };
  const ask = (question: Unnumbered<Question>, moved: ArrayBuffer[] = []): Promise<unknown> => {
    if (closed) return Promise.reject(ended());
    const id = count++;
    const one = Promise.withResolvers<unknown>();
    waiting.set(id, one);
    worker.postMessage({ id, ...question }, moved);
    return one.promise;
  };
  const open = async () => {
    const vault = await o.vault();
    try {
      await ask({ open: { dataDir: o.dataDir, vault } });
    } finally {
      wipe(...vault.map(({ key }) => key));
    }
  };
  const opened = async () => {
    const asked = opening ??= open();
    try {
      await asked;
    } catch (error) {
      // Another call may have begun anew already.
      if (opening === asked) opening = undefined;
      throw error;
    }
  };
  const call = async (name: Call, values: readonly unknown[], written?: Written) => {
    await opened();
    const how = written === undefined ? {} : { written };
    return await ask({ call: name, values, ...how }, values.flatMap(fileOf));
  };
  const loaded = ask({ loaded: true }).then(() => {}, () => {});
  return {
    loaded,
    history: Object.fromEntries(
      CALLS.map((name) => [name, (...values: unknown[]) => call(name, values)]),
    ) as unknown as HistoryCalls,
    written: (as, name, ...values) => call(name, values, as) as Promise<Bytes>,
    appendJson: (conversation, body) =>
      call("append", [conversation, body]) as Promise<{ id: string }>,
    async warm() {
      try {
        if ((await Deno.stat(join(folder, DATABASE_NAME))).size > 0) await opened();
      } catch { /* the first call says what is wrong */ }
    },
    async close() {
      if (!closed) await ask({ close: true }).catch(() => {});
      end();
      worker.terminate();
    },
  };
}
