/**
 * Two network namespaces with a cable between them, as `host` and `laptop`, and programs that run in them. Nothing of it
 * leaves this machine: neither namespace has another interface. Needs root on Linux and `ip` (iproute2).
 */
import assert from "node:assert/strict";
import { newHome, ROOT, secllama } from "../support/serve.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { HANG_MS } from "../support/patience.ts";
import { tell } from "../support/signal.ts";

export type Side = "host" | "laptop";

export const HOST_ADDRESS = "10.77.0.1";
export const LAPTOP_ADDRESS = "10.77.0.2";
const READY_MS = HANG_MS;

export interface Done {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Running {
  readonly pid: number;
  out(): string;
  err(): string;
  /** Waits until `pattern` is in its output. */
  saw(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits for it to end by itself. Returns its exit code. */
  ended(): Promise<number>;
  stop(): Promise<void>;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
}

/** Why the tests that need a lab are skipped; prints it. */
export function labIgnored(): boolean {
  const root = Deno.build.os === "linux" && Deno.uid() === 0;
  const ip = root && new Deno.Command("/bin/sh", { args: ["-c", "test -x /usr/sbin/ip"] })
    .outputSync().success;
  if (root && ip) {
    const probe = `slprobe${Deno.pid}`;
    if (ipSync("netns", "add", probe)) return !ipSync("netns", "del", probe);
  }
  console.error(
    "SKIP: two network namespaces need root on Linux, iproute2, and the right to make them",
  );
  return true;
}

function ipSync(...args: string[]): boolean {
  return new Deno.Command("/usr/sbin/ip", { args, stdout: "null", stderr: "null" }).outputSync()
    .success;
}

async function ip(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("/usr/sbin/ip", {
    args,
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.ok(success, `ip ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

export class Lab implements AsyncDisposable {
  readonly folder: string;
  readonly #spaces: Record<Side, string>;
  readonly #base: Record<string, string>;
  readonly #running = new Set<Running>();

  private constructor(folder: string, base: Record<string, string>, spaces: Record<Side, string>) {
    this.folder = folder;
    this.#base = base;
    this.#spaces = spaces;
  }

  static async make(): Promise<Lab> {
    const { home, env } = await newHome();
    const mark = crypto.getRandomValues(new Uint8Array(3)).toHex();
    const spaces = { host: `slh${mark}`, laptop: `sll${mark}` };
    const lab = new Lab(home, env, spaces);
    try {
      for (const side of ["host", "laptop"] as const) {
        await ip("netns", "add", spaces[side]);
        await ip("-n", spaces[side], "link", "set", "lo", "up");
        await Deno.mkdir(`${home}/${side}`, { mode: 0o700 });
      }
      const near = `slv${mark}`;
      await ip(
        ...["link", "add", near, "netns", spaces.host, "type", "veth"],
        ...["peer", "name", "cable", "netns", spaces.laptop],
      );
      await ip("-n", spaces.host, "link", "set", near, "name", "cable");
      await ip("-n", spaces.host, "addr", "add", `${HOST_ADDRESS}/24`, "dev", "cable");
      await ip("-n", spaces.laptop, "addr", "add", `${LAPTOP_ADDRESS}/24`, "dev", "cable");
      for (const space of Object.values(spaces)) {
        await ip("-n", space, "link", "set", "cable", "up");
      }
      const passphrase = crypto.getRandomValues(new Uint8Array(24)).toBase64();
      await Deno.writeTextFile(`${home}/passphrase`, passphrase, { mode: 0o600 });
      for (
        const file of ["host/keys.json", "host/data.key", "laptop/keys.json", "laptop/data.key"]
      ) {
        await makeCheapKeyFile(`${home}/${file}`, passphrase);
      }
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A command of SecLlama on one of the machines, each with a data folder and a passphrase-wrapped key store of its own. */
  secllama(side: Side, args: readonly string[], keys = true, entry?: string): string[] {
    return secllama([
      ...args,
      ...(keys ? ["--key-file", `${this.folder}/${side}/keys.json`, "--passphrase-fd", "3"] : []),
    ], entry);
  }

  /** argv prefix under which any command runs on one of the machines. */
  under(side: Side): string[] {
    return ["/usr/sbin/ip", "netns", "exec", this.#spaces[side]];
  }

  /** Gives a machine one more address. */
  async addAddress(side: Side, address: string): Promise<void> {
    await ip("-n", this.#spaces[side], "addr", "add", `${address}/24`, "dev", "cable");
  }

  /** A Deno script of this folder. */
  script(name: string, ...args: string[]): string[] {
    return [
      Deno.execPath(),
      "run",
      "--quiet",
      "-A",
      "--no-config",
      `${ROOT}tests/remote/${name}`,
      ...args,
    ];
  }

  /** Runs a command to its end. */
  async run(side: Side, argv: readonly string[], options: RunOptions = {}): Promise<Done> {
    const child = this.#command(side, argv, options.env, "piped").spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin ?? "")).catch(() => {});
    await writer.close().catch(() => {});
    const timer = setTimeout(() => tell(child, "SIGKILL"), READY_MS);
    const { code, stdout, stderr } = await child.output();
    clearTimeout(timer);
    return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
  }

  /** Starts a command that stays. */
  start(side: Side, argv: readonly string[], options: RunOptions = {}): Running {
    const child = this.#command(side, argv, options.env, "null").spawn();
    let out = "", err = "", ended = false;
    const changed = new EventTarget();
    const read = async (stream: ReadableStream<Uint8Array>, add: (text: string) => void) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        add(decoder.decode(chunk, { stream: true }));
        changed.dispatchEvent(new Event("output"));
      }
    };
    const reading = [
      read(child.stdout, (text) => out += text),
      read(child.stderr, (text) => err += text),
    ];
    const status = child.status.then(({ code }) => {
      ended = true;
      changed.dispatchEvent(new Event("output"));
      return code;
    });
    const running: Running = {
      pid: child.pid,
      out: () => out,
      err: () => err,
      saw: (pattern) => {
        const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
        const look = () => {
          const match = pattern.exec(out);
          if (match) resolve(match);
          else if (ended) {
            reject(new Error(`it ended: ${argv.slice(-6).join(" ")}\n${out}\n${err}`));
          }
        };
        changed.addEventListener("output", look);
        const timer = setTimeout(
          () => reject(new Error(`no ${pattern} in time:\n${out}\n${err}`)),
          READY_MS,
        );
        look();
        return promise.finally(() => {
          clearTimeout(timer);
          changed.removeEventListener("output", look);
        });
      },
      ended: async () => {
        const code = await status;
        await Promise.all(reading);
        return code;
      },
      stop: async () => {
        this.#running.delete(running);
        if (!ended) tell(child, "SIGTERM");
        const timer = setTimeout(() => ended || child.kill("SIGKILL"), READY_MS);
        await status;
        clearTimeout(timer);
        await Promise.all(reading);
      },
    };
    this.#running.add(running);
    return running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of [...this.#running]) await running.stop().catch(() => {});
    // The cable goes with either of its ends.
    for (const space of Object.values(this.#spaces)) ipSync("netns", "del", space);
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
  }

  #command(
    side: Side,
    argv: readonly string[],
    env: Record<string, string> = {},
    stdin: "piped" | "null",
  ): Deno.Command {
    return new Deno.Command("/usr/sbin/ip", {
      args: [
        ...["netns", "exec", this.#spaces[side], "/bin/sh", "-c"],
        ...[`exec "$@" 3<"${this.folder}/passphrase"`, "sh", ...argv],
      ],
      env: { ...this.#base, SECLLAMA_DATA_DIR: `${this.folder}/${side}/data`, ...env },
      clearEnv: true,
      cwd: this.folder,
      stdin,
      stdout: "piped",
      stderr: "piped",
    });
  }
}
