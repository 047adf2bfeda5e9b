/**
 * How far a host's keys and list of clients had come when they were last used on this machine, kept apart from both: a backup
 * that is put back over the data folder and the key file is older than it says. For keys that no key store of the operating
 * system keeps; where one does, its items say the same.
 *
 * One small file for each host id, in the user's folder for state: `{"v":1, "machine":…, "gen":…, "rev":…}`. It holds no secret,
 * and it is a memory aid against mistakes and whoever can put files back, not against who can write everywhere.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Bytes, toHex, utf8, utf8Decode } from "../bytes.ts";
import { newerFile } from "../newer_file.ts";

const CAP_BYTES = 4_096;
const MACHINE_ID = "/etc/machine-id";

/** How far a host's keys and clients had come. */
export interface Height {
  /** The keyset's generation. */
  readonly gen: number;
  /** The revision of the list of clients. */
  readonly rev: number;
}

const NONE: Height = { gen: 0, rev: 0 };

/** The height of one host on this machine. It only rises. */
export class HighWaterMark {
  /** Its file. */
  readonly path: string;
  readonly #machine: string;
  #height: Height;
  /** Why nothing could be kept. */
  #failure: string | undefined;

  private constructor(path: string, machine: string, { height, failure }: Mark) {
    this.path = path;
    this.#machine = machine;
    this.#height = height;
    this.#failure = failure;
  }

  /**
   * The mark of the host `hid`. One that cannot be read, or was made on another machine, says nothing. One that a newer secllama
   * wrote is not read and stays, and {@link failure} says so.
   */
  static async open(stateDir: string, hid: Bytes): Promise<HighWaterMark> {
    const path = join(stateDir, "marks", `${toHex(hid)}.json`);
    const machine = await machineName();
    return new HighWaterMark(path, machine, await readMark(path, machine));
  }

  /** The highest that was seen. */
  get height(): Height {
    return this.#height;
  }

  /** Why it could not be kept, for a warning; undefined if it was. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Notes what was seen; never lowers. Fails no caller. */
  async raise(seen: Partial<Height>): Promise<void> {
    const { height: there, failure } = await readMark(this.path, this.#machine);
    const height = {
      gen: Math.max(this.#height.gen, there.gen, seen.gen ?? 0),
      rev: Math.max(this.#height.rev, there.rev, seen.rev ?? 0),
    };
    this.#height = height;
    if (failure !== undefined) {
      this.#failure = failure;
      return;
    }
    if (height.gen === there.gen && height.rev === there.rev) return;
    const temporary = `${this.path}.${crypto.randomUUID()}`;
    try {
      await Deno.mkdir(join(this.path, ".."), { recursive: true, mode: 0o700 });
      const text = JSON.stringify({ v: 1, machine: this.#machine, ...height }) + "\n";
      await Deno.writeFile(temporary, utf8(text), { mode: 0o600, createNew: true });
      await Deno.rename(temporary, this.path);
      this.#failure = undefined;
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      this.#failure =
        `${this.path} cannot be written (${(error as Error).name}): a backup that is ` +
        "put back will not be noticed";
    }
  }
}

/** What tells this machine from others; the id itself is not to leave it (machine-id(5)). */
async function machineName(): Promise<string> {
  const id = await Deno.readTextFile(MACHINE_ID).catch(() => "");
  return createHash("sha256").update(`secllama machine ${id.trim()}`).digest("hex").slice(0, 32);
}

/** `failure`: why it is neither read nor written. */
interface Mark {
  readonly height: Height;
  readonly failure?: string;
}

async function readMark(path: string, machine: string): Promise<Mark> {
  try {
    if ((await Deno.stat(path)).size > CAP_BYTES) return { height: NONE };
    const value = JSON.parse(utf8Decode(await Deno.readFile(path)));
    const { v, machine: made, gen, rev } = value;
    const good = v === 1 && made === machine && Number.isSafeInteger(gen) &&
      Number.isSafeInteger(rev) && gen >= 0 && rev >= 0;
    if (good) return { height: { gen, rev } };
    const newer = newerFile(path, value, 1);
    if (newer === undefined) return { height: NONE };
    const failure = `${newer}: a backup that is put back will not be noticed by this one`;
    return { height: NONE, failure };
  } catch {
    return { height: NONE };
  }
}
