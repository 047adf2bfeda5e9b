/**
 * The attacker: a program for the runner's place in the sandbox. It loads a model as the runner does, locks itself down, makes
 * the attacks that it is told to, one line of JSON each, and infers before and after, to show that what holds the attacks
 * still lets the work through. `doctor` and the tests run it; it is never given a key.
 *
 * Standard input: a line, {@link AttackOrder}, then perhaps turns. Standard output: {@link AttackLine}s.
 */
import { linux } from "../src/linux/libc.ts";
import type { PolicyPart } from "../src/linux/seccomp.ts";
import { type Engine, loadEngine } from "./engine/mod.ts";
import { hardenEarly, type LayerResult, lockdown } from "./lockdown.ts";
import type { Done, Place, Seen } from "../src/escape/channels/channel.ts";
import { openSide, type Turn } from "../src/escape/channels/serve.ts";
import type { Battlefield, Outcome } from "../src/escape/attacks/attack.ts";
import { ATTACKS } from "../src/escape/attacks/list.ts";

interface AttackOrder {
  readonly field: Battlefield;
  /** Names of attacks, made in this order. */
  readonly attacks: readonly string[];
  /** Paths as seen from inside; null: do not infer. */
  readonly model: { readonly libDir: string; readonly modelPath: string } | null;
  readonly lockdown: boolean;
  /** What its second filter leaves open beside its own list. */
  readonly more?: PolicyPart;
  /** Tokens of the second inference, each said in a line of its own, as a runner sends a frame for each; for the benchmark. */
  readonly stream?: number;
  /**
   * true: wait for the end of standard input before ending, so that the host can look at the live process. "deaf": stay, whatever
   * happens to standard input, as a runner would that has been taken over.
   */
  readonly linger: boolean | "deaf";
  /** Then to be one side of every channel over this place, a line of {@link Turn} at a time, until standard input ends. */
  readonly place?: Place;
}

type AttackLine =
  | { readonly t: "ready"; readonly lockdown: readonly LayerResult[]; readonly text: string }
  | { readonly t: "token" }
  | { readonly t: "attack"; readonly name: string; readonly outcome: Outcome }
  | { readonly t: "done"; readonly text: string }
  | ({ readonly t: "turn" } & (Done | Seen));

const encoder = new TextEncoder();

function say(line: AttackLine): void {
  const bytes = encoder.encode(JSON.stringify(line) + "\n");
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

async function infer(engine: Engine | null, stream?: number): Promise<string> {
  if (engine === null) return "";
  let text = "";
  const events = engine.generate({
    prompt: [{ text: "Once upon a time", special: false }],
    client: "attacker",
    maxTokens: stream ?? 8,
    stop: [],
    sampling: {
      temperature: 0,
      topK: 40,
      topP: 0.9,
      minP: 0,
      repeatPenalty: 1,
      repeatLastN: 64,
      presencePenalty: 0,
      frequencyPenalty: 0,
    },
  }, new AbortController().signal);
  for await (const event of events) {
    if (event.type !== "token") continue;
    text += event.text;
    if (stream !== undefined) say({ t: "token" });
  }
  return text;
}

async function main(order: AttackOrder, lines: AsyncIterator<string>): Promise<void> {
  const engine = order.model === null ? null : await loadEngine({
    ...order.model,
    contextLength: 256,
    slots: 1,
    threads: order.stream ? 1 : 2,
  });
  const takeTurn = order.place ? openSide(linux(), order.place) : null;
  const locked = order.lockdown ? await lockdown(order.more ? { more: order.more } : {}) : [];
  say({ t: "ready", lockdown: locked, text: await infer(engine) });
  for (const name of order.attacks) {
    const attack = ATTACKS.find((a) => a.name === name);
    if (!attack) throw new TypeError(`no attack is called ${name}`);
    say({ t: "attack", name, outcome: await attack.run(linux(), order.field) });
  }
  say({ t: "done", text: await infer(engine, order.stream) });
  while (takeTurn) {
    const { value, done } = await lines.next();
    if (done) return;
    say({ t: "turn", ...await takeTurn(JSON.parse(value) as Turn) });
  }
  if (order.linger === "deaf") await new Promise((resolve) => setTimeout(resolve, 600_000));
  if (order.linger) await lines.next();
}

async function* lines(): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}

const input = lines();
const order = JSON.parse((await input.next()).value) as AttackOrder;
if (order.lockdown) hardenEarly();
await main(order, input);
Deno.exit(0);
