/** The fleet of docs/fleet.md, made by its ten commands as they stand there, each machine with a network of its own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { ROOT } from "../support/serve.ts";
import { makeNetwork, type NetMachine, type Running } from "./network.ts";

/** The page's tested commands, in order: on which machine, and the line. */
async function commandsOf(page: string): Promise<[where: string, line: string][]> {
  const text = await Deno.readTextFile(join(ROOT, page));
  const found = [...text.matchAll(/<!-- tested: ([^>]*) -->\n\n```sh\n([^]*?)```/g)];
  return found.map(([, where, line]) => [where!.trim(), line!.trim()]);
}

/** The folder that the commands are given in. */
async function copyExamples(to: string): Promise<void> {
  for await (const { name } of Deno.readDir(join(ROOT, "examples/fleet"))) {
    const text = await Deno.readTextFile(join(ROOT, "examples/fleet", name));
    const here = text.replaceAll(/\/etc\/(nats|haproxy)\//g, `${to}/`)
      .replaceAll("/var/lib/nats", `${to}/${name}.store`);
    await Deno.writeTextFile(join(to, name), here);
  }
}

/** Of hosts, and of nodes of NATS. */
export const NUMBERED = [1, 2, 3];
const READY = {
  secllama: /SecLlama is ready[^]*\n {2}(model|isolation) [^]*\n/,
  nats: /Server is ready/,
  publish: /gpu-3/,
  haproxy: /^/,
} as const;

/** Machines that all may be cut off, and what they share: the folder with the page's files. */
export async function pageNetwork(): ReturnType<typeof makeNetwork> {
  const network = await makeNetwork({
    "issuer": { address: "10.0.0.21" },
    "laptop": { address: "10.0.0.31" },
    "balancer": { address: "10.0.0.41", names: ["secllama.lan"] },
    ...Object.fromEntries(NUMBERED.flatMap((i) => [
      [`gpu-${i}`, { address: `10.0.0.${i}` }],
      [`nats-${i}`, { address: `10.0.0.1${i}` }],
    ])),
  });
  await copyExamples(network.folder);
  const { home } = network.machine("issuer");
  const passphrase = "of the issuer's key file";
  await makeCheapKeyFile(join(home, "keys.json"), passphrase);
  await Deno.writeTextFile(join(home, "passphrase"), passphrase);
  return network;
}

/** Runs a line to its end. @returns What it printed. */
export async function ok(on: NetMachine, line: string, stdin?: string): Promise<string> {
  const { code, stdout, stderr } = await on.sh(line, stdin);
  assert.equal(code, 0, `${on.name}: ${line}\n${stderr}`);
  return stdout.trim();
}

/** What goes on of it, by name: `gpu-1`, `nats-1`, `publish`, `balancer`. */
export class PageFleet {
  readonly running = new Map<string, Running>();
  /** Of the hosts' own proxies. */
  readonly ports = new Map<string, string>();
  /** The page's line that pairs a laptop, and what it printed. */
  pair = "";
  pairing = "";
  /** The page's line. */
  publish = "";
  readonly #lines = new Map<string, { on: NetMachine; line: string; ready: RegExp }>();

  /** Starts what goes on. */
  async begin(name: string, on: NetMachine, line: string, ready: RegExp): Promise<void> {
    this.#lines.set(name, { on, line, ready });
    await this.again(name);
  }

  /** Starts it once more, by the same line. @param before What stands before that line now: `env A=b `. */
  async again(name: string, before = ""): Promise<void> {
    const { on, line, ready } = this.#lines.get(name)!;
    const started = await on.start(before + line, ready);
    this.running.set(name, started);
    const port = /proxy +http:\/\/[^:]+:(\d+)/.exec(started.said())?.[1];
    if (port !== undefined) this.ports.set(name, port);
  }
}

/** @param o.publish,o.host Edits of these two lines. */
export async function startPage(
  { machine }: Awaited<ReturnType<typeof makeNetwork>>,
  { publish = (line) => line, host = (line) => line }: {
    publish?: (line: string) => string;
    host?: (line: string) => string;
  } = {},
): Promise<PageFleet> {
  const fleet = new PageFleet();
  const issuer = machine("issuer");
  const [invitation, joined]: [string[], string[]] = [[], []];
  const commands = await commandsOf("docs/fleet.md");
  assert.equal(commands.length, 10);
  for (const [where, line] of commands) {
    const each = /^each (host|nats)$/.exec(where)?.[1];
    const numbered = (i: number) =>
      line.replaceAll("gpu-1", `gpu-${i}`).replace(/nats-1\.conf/, `nats-${i}.conf`);
    if (line.startsWith("secllama fleet enrol")) {
      for (const one of joined) await ok(issuer, line.replace("secllama-host-1.…", one));
    } else if (each === "host" && line.includes("fleet join")) {
      for (const i of NUMBERED) {
        const own = numbered(i).replace("secllama-fleet-1.…", invitation[0]!);
        joined.push(await ok(machine(`gpu-${i}`), own));
      }
    } else if (each === "host") {
      for (const i of NUMBERED) {
        const name = `gpu-${i}`;
        await fleet.begin(name, machine(name), host(numbered(i)), READY.secllama);
      }
    } else if (each === "nats") {
      for (const i of NUMBERED) {
        const name = `nats-${i}`;
        await fleet.begin(name, machine(name), numbered(i), READY.nats);
      }
    } else if (where === "issuer, goes on") {
      fleet.publish = line;
      await fleet.begin("publish", issuer, publish(line), READY.publish);
    } else if (where === "balancer") {
      await fleet.begin("balancer", machine("balancer"), `${line} -db`, READY.haproxy);
    } else {
      const said = await ok(issuer, line);
      if (line === "secllama fleet init") invitation.push(said);
      if (line.startsWith("secllama pair")) [fleet.pair, fleet.pairing] = [line, said];
    }
  }
  return fleet;
}
