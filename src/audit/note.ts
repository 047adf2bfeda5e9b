/**
 * How far the audit log of a host had come, noted apart from it: a log that was put back from an earlier copy is shorter than that.
 * A small file in the user's folder for state, as {@link HighWaterMark} keeps one of the keys. It helps against mistakes and
 * whoever can change the log alone; against who can change both, keep heads elsewhere (`audit export`, syslog).
 */
import { join } from "node:path";
import { toHex, utf8, utf8Decode } from "../bytes.ts";
import { newerFile } from "../newer_file.ts";

const CAP_BYTES = 4_096;

/** How far a log had come. */
export interface Seen {
  /** The log's id, hexadecimal. */
  readonly log: string;
  /** Lines that it had. */
  readonly size: number;
  /** The root of that many lines, hexadecimal. */
  readonly root: string;
}

/** The file for one host. */
export class AuditNote {
  /** Of the file. */
  readonly path: string;
  #newer: string | undefined;

  /** In the folder for state, for the host `hid`. */
  constructor(stateDir: string, hid: Uint8Array) {
    this.path = join(stateDir, "marks", `${toHex(hid)}-audit.json`);
  }

  /** Why it is neither read nor written, as far as was seen: a newer secllama wrote it. */
  get failure(): string | undefined {
    return this.#newer &&
      `${this.#newer}: an audit log that is put back will not be noticed by this one`;
  }

  /** What was noted last; undefined: nothing, or nothing that can be read. */
  read(): Seen | undefined {
    this.#newer = undefined;
    try {
      if (Deno.statSync(this.path).size > CAP_BYTES) return undefined;
      const value = JSON.parse(utf8Decode(Deno.readFileSync(this.path)));
      this.#newer = newerFile(this.path, value, 1);
      const { v, log, size, root } = value;
      const good = v === 1 && Number.isSafeInteger(size) && size >= 0 &&
        /^[0-9a-f]{32}$/.test(log) && /^[0-9a-f]{64}$/.test(root);
      return good ? { log, size, root } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Notes more than was noted of the same log, or another log. Returns whether it is noted; {@link failure} may say why not. */
  write(seen: Seen): boolean {
    const there = this.read();
    if (this.#newer !== undefined) return false;
    if (there?.log === seen.log && there.size >= seen.size) return true;
    const temporary = `${this.path}.${crypto.randomUUID()}`;
    try {
      Deno.mkdirSync(join(this.path, ".."), { recursive: true, mode: 0o700 });
      Deno.writeFileSync(temporary, utf8(JSON.stringify({ v: 1, ...seen }) + "\n"), {
        mode: 0o600,
        createNew: true,
      });
      Deno.renameSync(temporary, this.path);
      return true;
    } catch {
      try {
        Deno.removeSync(temporary);
      } catch { /* it was not made */ }
      return false;
    }
  }
}
