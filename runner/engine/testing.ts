/** For this folder's tests and benches: where the libraries and a model to try lie. Not used by the runner. */
import { Budget, runAtOnce, type Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { storiesModel } from "../../tests/support/shared_models.ts";
import type { LongWork } from "../turns.ts";
import { librarySetFor } from "./library.ts";
import { loadEngine } from "./mod.ts";
import { makeRandomGguf } from "./testing_gguf.ts";
import {
  type ChatInput,
  DEFAULT_SAMPLING,
  type Engine,
  type EngineOptions,
  type GenerateEvent,
  type GenerateRequest,
  type PromptPart,
  type Sampling,
} from "./types.ts";

const root = new URL("../../", import.meta.url).pathname;

/** The folder of the pinned libraries in this checkout's node_modules. */
export function libraryFolder(): string {
  const { package: pinned } = librarySetFor(`${Deno.build.os}-${Deno.build.arch}`);
  const at = pinned.lastIndexOf("@");
  const name = pinned.slice(0, at);
  const folder = name.slice(name.indexOf("/") + 1);
  return `${root}node_modules/.deno/${
    pinned.replace("/", "+")
  }/node_modules/${name}/bins/${folder}`;
}

/** The repository's own model. */
export const DEMO_MODEL = `${root}models/demo.gguf`;

export function exists(path: string): boolean {
  try {
    return path !== "" && Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

let made: string | undefined;

/** A small model of random weights, made at its first use. */
function tinyModel(): string {
  if (made === undefined) {
    const dir = Deno.makeTempDirSync({ prefix: "secllama-test-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
    made = `${dir}/tiny.gguf`;
    makeRandomGguf("tiny", "q8_0", made);
  }
  return made;
}

/** Registers a test for the tiny random model, and, in full runs, for one that tells stories if it is there and can. */
export function modelTest(
  name: string,
  test: (model: string) => Promise<void>,
  o: { readonly notStories?: string } = {},
): void {
  Deno.test(`${name} (random)`, () => test(tinyModel()));
  const stories = storiesModel();
  if (stories === undefined) return;
  if (o.notStories !== undefined) console.log(`SKIP ${name} (stories): ${o.notStories}`);
  else Deno.test(`${name} (stories)`, () => test(stories));
}

/** Registers a test for the demo model; without it, says so and is ignored. */
export function demoTest(name: string, test: (model: string) => Promise<void>): void {
  const ignore = !exists(DEMO_MODEL);
  if (ignore) console.log(`SKIP ${name}: there is no models/demo.gguf`);
  Deno.test({ name, ignore, fn: () => test(DEMO_MODEL) });
}

export async function withEngine(
  options: Partial<EngineOptions> & { modelPath: string },
  use: (engine: Engine) => Promise<void>,
): Promise<void> {
  const engine = await loadEngine({
    libDir: libraryFolder(),
    contextLength: 512,
    slots: 4,
    threads: 1,
    ...options,
  });
  try {
    await use(engine);
  } finally {
    engine.close();
    // The loop frees the model in its next turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

export const GREEDY: Sampling = { ...DEFAULT_SAMPLING, temperature: 0, repeatPenalty: 1 };

export function request(
  prompt: string,
  change: Partial<GenerateRequest> = {},
): GenerateRequest {
  return {
    prompt: [{ text: prompt, special: false }],
    client: "tester",
    maxTokens: 32,
    stop: [],
    sampling: GREEDY,
    ...change,
  };
}

type Done = Extract<GenerateEvent, { type: "done" }>;
export type Token = Extract<GenerateEvent, { type: "token" }>;

interface Collected {
  text: string;
  tokens: Token[];
  done: Done;
}

/** Runs a request to its end. */
export async function collect(
  engine: Engine,
  of: GenerateRequest,
  signal: AbortSignal = new AbortController().signal,
): Promise<Collected> {
  const tokens: Token[] = [];
  let done: Done | undefined;
  for await (const event of engine.generate(of, signal)) {
    if (event.type === "token") tokens.push(event);
    else if (event.type === "done") done = event;
  }
  if (!done) throw new Error("the events ended without done");
  return { text: tokens.map(({ text }) => text).join(""), tokens, done };
}

type RenderChat = (chat: ChatInput, budget: Budget) => Work<PromptPart[]>;

/** What an engine, or a renderer alone, makes of a conversation. */
export function rendered(
  by: { renderChat: RenderChat } | { render: RenderChat },
  chat: ChatInput,
): PromptPart[] {
  const budget = new Budget({ what: "the chat template" });
  return runAtOnce("render" in by ? by.render(chat, budget) : by.renderChat(chat, budget));
}

/** Whether an error has this code, and a message of this form. */
export const coded = (code: string, pattern = /./) => (error: unknown) =>
  error instanceof SecLlamaError && error.code === code && pattern.test(error.message);

/** Sampling that depends on its seed. */
export const WARM = { ...DEFAULT_SAMPLING, temperature: 1.2 };

/** Beginnings of texts. */
export const PROMPTS = ["Once upon a time", "The little dog", "She was", "One day"];

/** Resolves once a slot is taken. */
export async function busy(engine: Engine): Promise<void> {
  while (engine.slotsBusy() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** llama.cpp's library for pictures in this checkout, as `deno task vision` makes it. */
export const VISION_LIBRARY = `${root}build/vision/${Deno.build.os}-${Deno.build.arch}/libmtmd.so`;

/** Whether a test of pictures can run; if not, it says why. */
export function canSee(): boolean {
  const isThere = exists(VISION_LIBRARY);
  // One that was built before the project added a function to it is no use.
  if (isThere && Deno.readTextFileSync(VISION_LIBRARY).includes("secllama_picture")) return true;
  const why = isThere ? "of an older checkout" : "not built";
  console.log(`skipped: the library for pictures is ${why}: deno task vision`);
  return false;
}

/** Long work, here and now. */
export async function runLongWork<T>(work: LongWork<T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    await step.value?.();
  }
}
