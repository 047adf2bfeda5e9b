/**
 * Machines with a network of their own: a namespace each, on one bridge, which lies in a namespace too. All of it ends with its
 * processes. Whose cable is pulled hears nothing and is told nothing, as in a real network. Needs root.
 */
import { join } from "node:path";
import { secllama } from "../support/serve.ts";
import { until } from "../support/patience.ts";
import { denoDir } from "../support/deno_dir.ts";
import { tell } from "../support/signal.ts";

const text = new TextDecoder();

/** Why there can be none here; undefined: there can. */
export async function noNetwork(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "no Linux";
  if (Deno.uid() !== 0) return "namespaces of the network need root";
  for (const tool of ["/usr/bin/nsenter", "/usr/sbin/ip", "/usr/bin/unshare"]) {
    if (!await Deno.stat(tool).then(() => true, () => false)) return `no ${tool}`;
  }
  return undefined;
}

/** A namespace lives as long as a process in it. */
async function namespace() {
  const child = new Deno.Command("/usr/bin/unshare", {
    args: ["--net", "--kill-child", "--fork", "sleep", "infinity"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const path = `/proc/${child.pid}/task/${child.pid}/children`;
  let inside = "";
  await until(async () => {
    inside = (await Deno.readTextFile(path).catch(() => "")).trim();
    return inside !== "" && (await Deno.readTextFile(`/proc/${inside}/comm`)).trim() === "sleep";
  }, "a namespace");
  return {
    pid: inside,
    end: async () => {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

async function inside(pid: string, ...args: string[]): Promise<void> {
  const command = new Deno.Command("/usr/bin/nsenter", {
    args: ["-t", pid, "-n", "/usr/sbin/ip", ...args],
  });
  const { code, stderr } = await command.output();
  if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${text.decode(stderr)}`);
}

/** A command's end. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that goes on. */
export interface Running {
  readonly pid: number;
  said(): string;
  /** Its end. */
  readonly over: Promise<unknown>;
  /** SIGTERM, and its end. */
  stop(): Promise<void>;
}

/** A machine of it. Its name is in the other ones' hosts file. */
export interface NetMachine {
  readonly name: string;
  /** Its home. */
  readonly home: string;
  /** Runs a line of a shell in the folder that all machines share, to its end. */
  sh(line: string, stdin?: string): Promise<Ran>;
  /** Starts one that goes on, until its output says `ready`. It ends with the network. */
  start(line: string, ready: RegExp, stdin?: string): Promise<Running>;
  /** Pulls its cable, or plugs it in again. */
  plug(isIn: boolean): Promise<void>;
}

/** The machines, by name. @param addresses Each machine's, and which names it has. */
export async function makeNetwork(
  addresses: Readonly<Record<string, { readonly address: string; readonly names?: string[] }>>,
): Promise<{ machine(name: string): NetMachine; folder: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-net-" });
  const ends: (() => Promise<void>)[] = [];
  const dispose = async () => {
    for (const end of ends.reverse()) await end();
    await Deno.remove(folder, { recursive: true });
  };
  const machines = new Map<string, NetMachine>();
  try {
    const bridge = await namespace();
    ends.push(bridge.end);
    await inside(bridge.pid, "link", "add", "br0", "type", "bridge");
    await inside(bridge.pid, "link", "set", "br0", "up");
    const rows = Object.entries(addresses).flatMap(([name, { address, names = [] }]) =>
      [name, ...names].map((one) => `${address} ${one}`)
    );
    const hosts = join(folder, "hosts");
    await Deno.writeTextFile(hosts, ["127.0.0.1 localhost", ...rows, ""].join("\n"));
    // What stands on the page is `secllama`.
    const bin = join(folder, "bin");
    await Deno.mkdir(bin);
    const program = secllama([]).map((word) => `'${word}'`).join(" ");
    // A machine with a key file has its key from there, as with a key store: it can be rotated.
    const own = `if [ -f "$HOME/keys.json" ]; then
  unset SECLLAMA_KEY
  exec ${program} "$@" --key-file "$HOME/keys.json" --passphrase-fd 3 3<"$HOME/passphrase"
fi`;
    await Deno.writeTextFile(
      join(bin, "secllama"),
      `#!/bin/sh\n${own}\nexec ${program} "$@"\n`,
      { mode: 0o755 },
    );
    for (const [i, [name, { address }]] of Object.entries(addresses).entries()) {
      const own = await namespace();
      ends.push(own.end);
      const peer = ["peer", "name", "eth0", "netns", own.pid];
      await inside(bridge.pid, "link", "add", `v${i}`, "type", "veth", ...peer);
      await inside(bridge.pid, "link", "set", `v${i}`, "master", "br0", "up");
      await inside(own.pid, "addr", "add", `${address}/24`, "dev", "eth0");
      for (const link of ["lo", "eth0"]) await inside(own.pid, "link", "set", link, "up");
      const plug = (isIn: boolean) =>
        inside(bridge.pid, "link", "set", `v${i}`, isIn ? "up" : "down");
      const made = await netMachine({ name, pid: own.pid, folder, hosts, bin, plug });
      ends.push(made.end);
      machines.set(name, made);
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { machine: (name) => machines.get(name)!, folder, [Symbol.asyncDispose]: dispose };
}

async function netMachine(o: {
  name: string;
  pid: string;
  folder: string;
  hosts: string;
  bin: string;
  plug: NetMachine["plug"];
}): Promise<NetMachine & { end: () => Promise<void> }> {
  const home = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const running: { child: Deno.ChildProcess; over: Promise<unknown> }[] = [];
  const spawn = (line: string) => {
    const own = `mount --bind ${o.hosts} /etc/hosts && exec /bin/sh -c "$1"`;
    const child = new Deno.Command("/usr/bin/nsenter", {
      args: [
        ...["-t", o.pid, "-n", "/usr/bin/unshare", "--mount", "/bin/sh", "-c", own, "sh", line],
      ],
      cwd: o.folder,
      clearEnv: true,
      env: {
        HOME: home,
        PATH: `${o.bin}:/usr/sbin:/usr/bin:/sbin:/bin`,
        NO_COLOR: "1",
        LANG: "C.UTF-8",
        SECLLAMA_KEY: `sl1:${keyOf(home)}`,
        SECLLAMA_DATA_DIR: join(home, "data"),
        DENO_DIR: denoDir(),
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return child;
  };
  return {
    ...{ name: o.name, home, plug: o.plug },
    async sh(line, stdin = "") {
      const child = spawn(line);
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
      await writer.close().catch(() => {});
      const { code, stdout, stderr } = await child.output();
      return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
    },
    async start(line, ready, stdin = "") {
      const child = spawn(`exec ${line}`);
      let said = "";
      const read = async (stream: ReadableStream<Uint8Array>) => {
        const decoder = new TextDecoder();
        for await (const part of stream) said += decoder.decode(part, { stream: true });
      };
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(stdin));
      await writer.close();
      let ended = false;
      const over = Promise.all([
        child.status.then(() => ended = true),
        read(child.stdout),
        read(child.stderr),
      ]);
      running.push({ child, over });
      await until(() => {
        if (ended) throw new Error(`${o.name}: ${line}\n${said}`);
        return ready.test(said);
      }, `${o.name} says ${ready}`);
      const stop = async () => {
        if (!ended) tell(child, "SIGTERM");
        await over;
      };
      return { pid: child.pid, said: () => said, over, stop };
    },
    async end() {
      for (const { child, over } of running.reverse()) {
        try {
          child.kill("SIGTERM");
        } catch { /* it has ended */ }
        await over;
      }
      await Deno.remove(home, { recursive: true });
    },
  };
}

/** A key of each machine's own, from its home's name. */
function keyOf(home: string): string {
  const bytes = new TextEncoder().encode(home.padEnd(32, "-")).slice(-32);
  return bytes.toBase64();
}
