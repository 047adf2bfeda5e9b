/** Hostile surroundings of a compiled program's serve: each with its positive control, what is looked at while it runs, and afterwards. */
import assert from "node:assert/strict";
import { compiledProgram } from "../support/binary.ts";
import { chat, type Served, startServe } from "../support/serve.ts";
import { emptyHome, type Home, IGNORE } from "./testing.ts";

export const QUESTION = "What is network isolation?";
export const FULL = Deno.env.get("SECLLAMA_FULL") === "1";

/** A test of these; not where there is no compiled program. */
export function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `binary environment: ${name}`, ignore: IGNORE, fn });
}

/** What is set around `serve`, and what is to be seen while it runs and when it has ended. */
export interface Hostile {
  readonly env: Record<string, string>;
  readonly args?: readonly string[];
  during?(served: Served): Promise<void>;
  after?(served: Served): Promise<void>;
}

type Prepare = (home: Home, stack: AsyncDisposableStack) => Promise<Hostile>;
const prepared: (readonly [name: string, prepare: Prepare])[] = [];

/** A test with a serve of its own; in a plain run one serve has all of them around it. @param prepare Has the positive control. */
export function hostile(name: string, prepare: Prepare): void {
  if (FULL) test(name, () => serveUnder([prepare]));
  else prepared.push([name, prepare]);
}

async function serveUnder(all: readonly Prepare[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const set: Hostile[] = [];
  for (const prepare of all) set.push(await prepare(stack.use(await emptyHome()), stack));
  const served = await startServe({
    program: compiledProgram(),
    env: Object.assign({}, ...set.map(({ env }) => env)),
    args: set.find(({ args }) => args)?.args ?? ["--ephemeral"],
  });
  try {
    assert.equal((await chat(served.proxyUrl, QUESTION)).status, 200);
    for (const one of set) await one.during?.(served);
  } finally {
    assert.equal((await served.stop()).code, 0);
  }
  for (const one of set) await one.after?.(served);
}

/** A listener that keeps the first bytes of all that comes, and answers 502. */
export function listen(): { port: number; got: string[] } & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const got: string[] = [];
  void (async () => {
    for await (const c of listener) {
      try {
        const buffer = new Uint8Array(8192);
        const n = await c.read(buffer) ?? 0;
        got.push(new TextDecoder().decode(buffer.subarray(0, n)));
        await c.write(new TextEncoder().encode("HTTP/1.1 502 no\r\ncontent-length: 0\r\n\r\n"));
      } finally {
        c.close();
      }
    }
  })().catch(() => {});
  return { port: listener.addr.port, got, [Symbol.dispose]: () => listener.close() };
}

/** Makes the one test of a plain run. */
export function allAtOnce(): void {
  if (FULL) return;
  console.log("skipped: a serve for each of what one has around it; set SECLLAMA_FULL=1");
  const names = prepared.map(([name]) => name).join("; ");
  test(`at once: ${names}`, () => serveUnder(prepared.map(([, prepare]) => prepare)));
}
