/**
 * Tries every channel: a random byte from one process to another, bit by bit, at the host's word. Between a runner and another
 * runner, and between a runner and an ordinary process outside, both ways. What arrived is compared here, so a channel that carries
 * nothing but says so is none, and one that carries the byte is one, whatever the sides say.
 */
import { AT_FDCWD, cstr, type Linux, linux, O } from "../../linux/libc.ts";
import type { StartOptions } from "../../sandbox/spawn.ts";
import { type Channel, type Done, FILE_BYTES, type Seen } from "../channels/channel.ts";
import { channelAttack, CHANNELS, PARTIES, type Party } from "../channels/list.ts";
import type { Turn } from "../channels/serve.ts";
import type { Judgement } from "./judge.ts";
import { ANOTHER_USER } from "./ordinary.ts";

/** A started side, and its pid as the host names it. */
interface Started {
  readonly child: Deno.ChildProcess;
  /** The pid is not there before the process has said that it is ready. */
  readonly pid: () => number;
}

export interface Parties {
  /** The attacker in a runner's place. */
  readonly runner: (options: StartOptions) => Promise<Started>;
  /** Whether it locks itself down, as a runner does. */
  readonly lockdown: boolean;
  /** The attacker outside, as this user; null: as this process's own. */
  readonly ordinary: (uid: number | null, options: StartOptions) => Promise<Started>;
  /** Whether it can be another user: root can give itself up for one, who then must be able to read the program. */
  readonly otherUsers: boolean;
  /** A file made by {@link makeMeetingFile}, as the host and as a runner names it. */
  readonly file: { readonly host: string; readonly inside: string };
  /** Channels by name; default: all. */
  readonly only?: readonly string[];
}

const BITS = 8;
/** A page may be evicted, or a bit be lost to what else the machine does: a channel that works once is one. */
const TRIES = 6;

/** The file that both sides may read: of zeros, on the disk, and open to everybody. */
export function makeMeetingFile(path: string): void {
  const file = Deno.openSync(path, { write: true, createNew: true, mode: 0o666 });
  const zeros = new Uint8Array(1 << 20);
  for (let at = 0; at < FILE_BYTES; at += zeros.length) file.writeSync(zeros);
  file.syncSync();
  file.close();
  Deno.chmodSync(path, 0o666);
}

/** Of every row of the attack list that is a channel, what came of it. */
export async function tryChannels(parties: Parties): Promise<Map<string, Judgement>> {
  const { file, lockdown } = parties;
  const open: Process[] = [];
  const start = async (starting: Promise<Started>, path: string, locked: boolean) => {
    const process = await Process.open(await starting, { file: path, lockdown: locked });
    open.push(process);
    return process;
  };
  const options = { cwd: "/", stderr: "piped" } as const;
  try {
    const runner = await start(parties.runner(options), file.inside, lockdown);
    const others = {
      "another runner": await start(parties.runner(options), file.inside, lockdown),
      "an ordinary process": await start(
        parties.ordinary(parties.otherUsers ? ANOTHER_USER : null, options),
        file.host,
        false,
      ),
    };
    const own = parties.otherUsers ? userOf(linux(), runner.pid) : null;
    const same = await start(parties.ordinary(own, options), file.host, false);
    const rows = new Map<string, Judgement>();
    for (const channel of CHANNELS) {
      if (parties.only?.includes(channel.name) === false) continue;
      for (const party of PARTIES) {
        const other = channel.sameUser && party === "an ordinary process" ? same : others[party];
        rows.set(
          channelAttack(channel, party),
          await tryBothWays(channel, { runner, other, party, file: file.host }),
        );
      }
    }
    return rows;
  } finally {
    for (const process of open) await process.close();
  }
}

function userOf(system: Linux, pid: number): number {
  return Number(/^Uid:\s+(\d+)/m.exec(system.readText(`/proc/${pid}/status`))![1]);
}

async function tryBothWays(
  channel: Channel,
  o: { runner: Process; other: Process; party: Party; file: string },
): Promise<Judgement> {
  const { runner, other, party, file } = o;
  const ways = [
    ...(channel.intoRunnersOnly && party === "an ordinary process" ? [] : [[runner, other, "out"]]),
    // Two runners are alike: one way says all.
    ...(party === "an ordinary process" ? [[other, runner, "in"]] : []),
  ] as [Process, Process, string][];
  let refused: Done = { step: "", errno: "" };
  for (const [sender, receiver, way] of ways) {
    const sent = Array.from({ length: BITS }, (_, i) =>
      // Both values occur, whatever is drawn.
      i < 2 ? i === 0 : crypto.getRandomValues(new Uint8Array(1))[0]! < 128);
    const came = await carry(channel, { sender, receiver, sent, file });
    if (came.carried) {
      const detail = `a byte ${way === "out" ? "out of" : "into"} a runner`;
      return { verdict: "out", detail, step: came.step, errno: "" };
    }
    // Of two refusals, what refuses the runner.
    if (refused.errno === "" || way === "out") refused = came;
  }
  const { step, errno } = refused;
  const detail = errno === "" ? "nothing arrived" : `${step}: ${errno}`;
  return { verdict: "blocked", detail, step, errno };
}

async function carry(
  channel: Channel,
  o: { sender: Process; receiver: Process; sent: readonly boolean[]; file: string },
): Promise<Done & { carried: boolean }> {
  const { sender, receiver, sent, file } = o;
  let last: Done = { step: "", errno: "" };
  const turn = async (who: Process, peer: Process, rest: Omit<Turn, "channel" | "peer">) => {
    const came = await who.take({ channel: channel.name, peer: peer.pid, ...rest });
    last = came;
    return came.errno === "" ? came : null;
  };
  for (let tries = 0; tries < TRIES; tries++) {
    let right = 0;
    for (const [index, bit] of sent.entries()) {
      if (!await turn(sender, receiver, { act: "rest", index })) break;
      if (channel.evict) evict(linux(), file);
      if (!await turn(receiver, sender, { act: "arm", index })) break;
      if (!await turn(sender, receiver, { act: "send", index, bit })) break;
      const got = await turn(receiver, sender, { act: "receive", index }) as Seen | null;
      if (got === null || got.bit !== bit) break;
      right++;
    }
    if (last.errno === "") await turn(sender, receiver, { act: "rest", index: 0 });
    if (right === sent.length) return { ...last, carried: true };
    if (last.errno !== "") break; // refused once, refused always
  }
  return { ...last, carried: false };
}

/** Puts the file's pages out of memory, as far as nobody has them mapped. */
function evict(system: Linux, file: string): void {
  const POSIX_FADV_DONTNEED = 4;
  const flags = O.readOnly | O.closeOnExec;
  const fd = system.must("open the meeting's file", "openat", AT_FDCWD, cstr(file), flags, 0);
  system.call("fadvise64", fd, 0, 0, POSIX_FADV_DONTNEED);
  system.call("close", fd);
}

/** A side of every channel, as a process. */
class Process {
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #messages: AsyncGenerator<{ t: string }>;
  readonly #stderr: Promise<string>;

  private constructor(
    started: Started,
    o: { messages: AsyncGenerator<{ t: string }>; stderr: Promise<string> },
    writer: WritableStreamDefaultWriter<Uint8Array>,
  ) {
    this.#child = started.child;
    this.pid = started.pid();
    this.#messages = o.messages;
    this.#stderr = o.stderr;
    this.#writer = writer;
  }

  /** @throws {Error} If it ends before it is ready. */
  static async open(
    started: Started,
    { file, lockdown }: { file: string; lockdown: boolean },
  ): Promise<Process> {
    const { child } = started;
    const stderr = new Response(child.stderr).text();
    const writer = child.stdin.getWriter();
    const order = { field: null, attacks: [], model: null, lockdown, linger: false };
    await writer.write(line({ ...order, place: { file } })).catch(() => {});
    const messages = messagesOf(child.stdout);
    for (const wanted of ["ready", "done"]) {
      const { value, done } = await messages.next();
      if (done || value.t !== wanted) {
        throw new Error(`a side of the channels did not start: ${await stderr}`);
      }
    }
    return new Process(started, { messages, stderr }, writer);
  }

  /** @throws {Error} If it has ended. */
  async take(turn: Turn): Promise<Done | Seen> {
    await this.#writer.write(line(turn)).catch(() => {});
    const { value, done } = await this.#messages.next();
    if (done) throw new Error(`a side of the channels ended: ${await this.#stderr}`);
    return value as unknown as Done | Seen;
  }

  async close(): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#messages.return(undefined);
    try {
      this.#child.kill("SIGKILL"); // a thread of it may still wait for somebody
    } catch { /* it has ended */ }
    await this.#child.status;
    await this.#stderr;
  }
}

function line(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value) + "\n");
}

async function* messagesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<{ t: string }> {
  let rest = "";
  const text = new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>;
  for await (const chunk of stream.pipeThrough(text)) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const text of lines.filter((l) => l.startsWith("{"))) yield JSON.parse(text);
  }
}
