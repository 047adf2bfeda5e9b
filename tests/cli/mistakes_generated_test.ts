/** Every option and argument of every command with every kind of value that is none: each is told what, why and how, and nothing breaks. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { EXIT } from "../../src/errors.ts";
import { seeded, seeds } from "../support/seeds.ts";
import { newHome } from "../support/serve.ts";
import { mistakesOf } from "./mistakes_cases.ts";
import { FROM_SOURCE, sayAll } from "./mistakes_run.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** Of all commands together, in a plain run; others by another SECLLAMA_SEED. */
const FEW = 150;
const KNOWN_EXITS: readonly number[] = Object.values(EXIT);
/** A stack, a place in the source, what JavaScript calls nothing, and the runtime's own words. */
const RAW =
  /^\s+at |\.ts:\d|\bundefined\b|\[object |\b(?:Type|Range|Syntax|Reference)Error\b|os error|internal error/m;

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function faultsOf({ code, stderr }: Said): string[] {
  const faults: string[] = [];
  if (RAW.test(stderr)) faults.push("raw");
  if (code === EXIT.ok) return faults;
  if (!KNOWN_EXITS.includes(code)) faults.push(`exit ${code}`);
  if (!/^error: [^]{8,}/m.test(stderr)) faults.push("what and why");
  if (!/^hint: .{8,}/m.test(stderr)) faults.push("how");
  return faults;
}

Deno.test("mistakes: every option and argument with every kind of value", async () => {
  const { home, env } = await newHome();
  for (const [name, text] of [["empty", ""], ["notes.txt", "a\n"], ["my notes.txt", "b\n"]]) {
    await Deno.writeTextFile(join(home, name!), text!);
  }
  await Deno.writeFile(join(home, "binary"), new Uint8Array(4096).map((_, i) => i * 31));
  await Deno.mkdir(join(home, "afolder"));
  await Deno.symlink("loop", join(home, "loop"));
  const busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ended = (async () => {
    for await (const connection of busy) connection.close();
  })();
  const placed = (word: string) => word.replaceAll("BUSY", String(busy.addr.port));
  const groups = COMMANDS.filter(({ hidden }) => hidden !== true)
    .map((command) => mistakesOf(command).map((args) => args.map(placed)));
  try {
    const all = FULL ? groups : [some(groups.flat())];
    if (!FULL) console.log(`skipped: all but ${FEW} mistakes; SECLLAMA_FULL=1 makes them all`);
    for (const lines of all) {
      const said = await sayAll(lines.map((args) => ({ args, env: {} })), {
        argv: FROM_SOURCE,
        env,
        cwd: home,
      });
      const faults = said.flatMap((one, i) => faultsOf(one).map((fault) => [fault, lines[i], one]));
      assert.deepEqual(faults, []);
    }
  } finally {
    busy.close();
    await ended.catch(() => {});
    await Deno.remove(home, { recursive: true });
  }
});

function some(lines: string[][]): string[][] {
  const random = seeded(seeds(1)[0]!);
  return Array.from({ length: FEW }, () => lines[Math.floor(random() * lines.length)]!);
}

Deno.test("mistakes: the judge of what is told notices what it must", () => {
  const good = "error: --port must be a whole number\nhint: secllama help config\n";
  assert.deepEqual(faultsOf({ code: 2, stdout: "", stderr: good }), []);
  for (
    const [code, stderr] of [
      [2, good.replace("hint", "note")],
      [2, good.replace("error", "oops")],
      [77, good],
      [2, `${good}    at file:///main.ts:3:4\n`],
      [0, "an internal error occurred"],
    ] as const
  ) assert.equal(faultsOf({ code, stdout: "", stderr }).length, 1, stderr);
});
