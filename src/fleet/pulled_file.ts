/**
 * Which wishes of the issuer this host has fulfilled, in its data folder: a model that its people removed meanwhile does not come
 * back when it starts again. Not secret, and nobody's word: who can write the folder can have a model pulled again, or not.
 */
import { join } from "node:path";
import { utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { writeFileAtomically } from "../keys/mod.ts";
import { refuseNewer } from "../newer_file.ts";
import { WISH_MS } from "./issuer.ts";

const FILE = "fleet-pulls.json";

/** The file. One that is damaged says nothing. */
export class PulledFile {
  readonly #path: string;
  readonly #done: Map<string, number>;

  private constructor(path: string, done: Map<string, number>) {
    this.#path = path;
    this.#done = done;
  }

  /** What an earlier process noted. @throws {SecLlamaError} `key-corrupt` for a newer version's: it would be written over. */
  static read(dataDir: string): PulledFile {
    const path = join(dataDir, FILE);
    try {
      const value = JSON.parse(Deno.readTextFileSync(path));
      refuseNewer(path, value, 1);
      const { v, done } = value;
      if (v !== 1) return new PulledFile(path, new Map());
      const rows = Object.entries(Object(done)).filter((row): row is [string, number] =>
        Number.isSafeInteger(row[1])
      );
      return new PulledFile(path, new Map(rows));
    } catch (error) {
      if (error instanceof SecLlamaError) throw error;
      return new PulledFile(path, new Map());
    }
  }

  /** When the newest wish for it that was fulfilled was made, unix ms, the issuer's clock; 0: none was. */
  doneAt(model: string): number {
    return this.#done.get(model) ?? 0;
  }

  /** Notes it. Wishes that end before this one was made are forgotten. @throws {Error} If it cannot be written. */
  async note(model: string, at: number): Promise<void> {
    this.#done.set(model, at);
    for (const [other, then] of this.#done) if (then <= at - WISH_MS) this.#done.delete(other);
    await writeFileAtomically(
      this.#path,
      utf8(JSON.stringify({ v: 1, done: Object.fromEntries(this.#done) }) + "\n"),
    );
  }
}
