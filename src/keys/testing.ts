/** Helpers of this folder's tests: a place in a temporary folder, and a machine that fails or dies at a chosen step. */
import { HANG_MS } from "../../tests/support/patience.ts";
import { SecLlamaError } from "../errors.ts";
import { EMPTY_LIST } from "./clients/client_list.ts";
import type { ClientSource, RingSource } from "./key_source.ts";
import { type KdfParameters, newKdf } from "./stores/envelope.ts";
import type { KeyStore } from "./stores/store.ts";
import { KeyManager } from "./keyset/manager.ts";
import { denoFileSystem, type FileSystem, ManifestFile } from "./keyset/manifest_file.ts";
import { MemoryStore } from "./stores/testing_memory.ts";

/** Runs `test` with the path of a temporary folder that is removed afterwards. */
export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-keys-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The code of the SecLlamaError that `promise` is rejected with; "ok" if it is not. Other errors pass. */
export async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SecLlamaError) return error.code;
    throw error;
  }
  return "ok";
}

/** A manager over `folder` and `store`. */
export function managerAt(
  folder: string,
  store: KeyStore = new MemoryStore(),
  fs: FileSystem = denoFileSystem,
): KeyManager {
  return new KeyManager({ file: new ManifestFile(folder, { fs, lockTimeoutMs: HANG_MS }), store });
}

export class Died extends Error {}

/**
 * Counts the steps that change something outside the process: writes of files and of items. `before(step)` may throw to
 * make the step not happen, `after(step)` to make it happen and nothing after it.
 */
export class Steps {
  count = 0;
  readonly names: string[] = [];
  before: (step: number, name: string) => void = () => {};
  after: (step: number, name: string) => void = () => {};

  async #step<T>(name: string, run: () => Promise<T>): Promise<T> {
    const step = this.count++;
    this.names.push(name);
    this.before(step, name);
    const result = await run();
    this.after(step, name);
    return result;
  }

  fileSystem(): FileSystem {
    const fs = denoFileSystem;
    return {
      open: (path, options) =>
        options.create && !path.endsWith(".lock")
          ? this.#step("create", () => fs.open(path, options))
          : fs.open(path, options),
      rename: (from, to) => this.#step("rename", () => fs.rename(from, to)),
      remove: (path) => this.#step("remove", () => fs.remove(path)),
      write: (file, bytes) => this.#step("write", () => fs.write(file, bytes)),
      sync: (file) => this.#step("sync", () => fs.sync(file)),
    };
  }

  store(store: KeyStore): KeyStore {
    return {
      backend: store.backend,
      probe: () => store.probe(),
      get: (account) => store.get(account),
      list: () => store.list(),
      put: (account, value) => this.#step("put", () => store.put(account, value)),
      remove: (account) => this.#step("clear", () => store.remove(account)),
    };
  }

  /** From step `n` on nothing happens any more: the process was killed. */
  dieAt(n: number, when: "before" | "after"): void {
    let dead = false;
    this.before = (step) => {
      if (when === "before" && step === n) dead = true;
      if (dead) throw new Died();
    };
    this.after = (step) => {
      if (when === "after" && step === n) dead = true;
      if (dead) throw new Died();
    };
  }

  /** Step `n` fails as if the disk were full; the process lives on. */
  failAt(n: number): void {
    this.before = (step, name) => {
      if (step !== n) return;
      if (name === "put" || name === "clear") {
        throw new SecLlamaError("key-store-unavailable", "the key store did not keep the item");
      }
      throw Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
    };
  }
}

/** Who may come under which key now: this machine's own clients first, then the paired ones, each under its newest key first. */
export async function entriesOf(
  source: ClientSource & RingSource,
): Promise<{ pskId: string; kid: string; client?: string }[]> {
  using ring = await source.ring();
  const known = await (async () => await source.clients().read())().catch(() => EMPTY_LIST);
  const of = (client?: string) =>
    ring.idsOf(client).map((pskId) => ({
      pskId,
      kid: pskId.split(".")[1]!,
      ...(client !== undefined && { client }),
    }));
  return [...of(), ...known.clients.flatMap(({ id }) => of(id))];
}

/** The weakest Argon2id parameters that are accepted, so that a test that opens many boxes ends soon. */
export function quickKdf(): KdfParameters {
  return { ...newKdf(), m: 7_168, t: 5 };
}
