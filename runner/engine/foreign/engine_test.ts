/** The adapter to engines of others, against a fake that listens on a Unix socket outside any sandbox. */
import assert from "node:assert/strict";
import { fakeEngine, withoutFake } from "../../../tests/engine/fake.ts";
import { SecLlamaError } from "../../../src/errors.ts";
import {
  DEFAULT_SAMPLING,
  type Engine,
  type GenerateEvent,
  type GenerateRequest,
} from "../types.ts";
import { coded, DEMO_MODEL, libraryFolder } from "../testing.ts";
import { openForeignEngine } from "./engine.ts";
import { ask, json } from "./http.ts";

const skipped = withoutFake();
if (skipped) console.error(`SKIP: no engine is spoken to: ${skipped}`);

interface Fake extends AsyncDisposable {
  readonly engine: Engine;
  readonly process: Deno.ChildProcess;
  asked(): Promise<{ path: string; body: Record<string, unknown> }[]>;
  /** What it was to compute: apart from questions for its work, and from who left before its last words. */
  computed(): Promise<Record<string, unknown>[]>;
  healthy(): Promise<boolean>;
}

async function open(kind: "llama-server" | "vllm", slots = 2): Promise<Fake> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-fake-" });
  const env = await fakeEngine(folder, kind);
  const socket = `${folder}/engine.sock`;
  const args = kind === "vllm"
    ? ["serve", DEMO_MODEL, "--uds", socket]
    : ["--host", socket, "-m", DEMO_MODEL];
  const process = new Deno.Command(env["SECLLAMA_ENGINE_PATH"]!, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const engine = await openForeignEngine({
    libDir: libraryFolder(),
    modelPath: DEMO_MODEL,
    contextLength: 512,
    slots,
    threads: 1,
    queueLimit: 8,
    kind,
    socket,
  });
  const asked = async () => {
    const { body } = await ask(socket, "/asked");
    return await json(body) as { path: string; body: Record<string, unknown> }[];
  };
  return {
    engine,
    process,
    asked,
    async computed() {
      return (await asked()).map(({ body }) => body).filter((body) => "prompt" in body);
    },
    async healthy() {
      const { status, body } = await ask(socket, "/health");
      await json(body);
      return status === 200;
    },
    async [Symbol.asyncDispose]() {
      engine.close();
      try {
        process.kill("SIGKILL");
      } catch { /* it has ended */ }
      await process.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function request(engine: Engine, more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    prompt: engine.tokenize("Where are my keys and my hat?", { special: false }),
    client: "one",
    maxTokens: 4,
    stop: [],
    sampling: { ...DEFAULT_SAMPLING, seed: 1 },
    ...more,
  };
}

async function all(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  return await Array.fromAsync(events);
}

const quiet = () => new AbortController().signal;
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, ignore: skipped !== undefined, fn });

for (const kind of ["llama-server", "vllm"] as const) {
  test(`${kind} (a fake): tokens go in, and come back as the own engine would tell them`, async () => {
    await using fake = await open(kind);
    const { engine } = fake;
    const prompt = engine.tokenize("Where are my keys and my hat?", { special: false });
    const events = await all(engine.generate(request(engine, { logprobs: 1 }), quiet()));
    const tokens = events.filter((event) => event.type === "token");
    const wanted = [...prompt.slice(-4)].reverse();
    assert.deepEqual(tokens.map(({ id }) => id), wanted);
    assert.equal(tokens.map(({ text }) => text).join(""), engine.detokenize(wanted));
    for (const token of tokens) {
      assert.equal(token.logprob?.logprob, -0.5);
      assert.deepEqual(token.top?.map(({ id }) => id), [token.id]);
    }
    const done = events.at(-1);
    assert.ok(done?.type === "done");
    assert.equal(done.reason, "length");
    assert.equal(done.promptTokens, prompt.length);
    assert.equal(done.evalTokens, 4);
    assert.deepEqual(done.context, [...prompt, ...wanted]);
    const { body } = (await fake.asked())[0]!;
    assert.deepEqual(body["prompt"], [...prompt]);
  });

  test(`${kind} (a fake): a stop string ends the reply, and its engine's work`, async () => {
    await using fake = await open(kind);
    const { engine } = fake;
    const events = await all(
      engine.generate(request(engine, { maxTokens: 100_000, stop: ["keys"] }), quiet()),
    );
    const done = events.at(-1);
    assert.ok(done?.type === "done");
    assert.equal(done.stopSequence, "keys");
    const text = events.map((event) => event.type === "token" ? event.text : "").join("");
    assert.ok(!text.includes("keys"));
    assert.equal(engine.slotsBusy(), 0);
  });
}

test("a grammar, a bias and each sampling option reach llama-server (a fake)", async () => {
  await using fake = await open("llama-server");
  const { engine } = fake;
  const logitBias = new Map([[5, -Infinity], [6, 2]]);
  const grammar = 'root ::= "a"';
  await all(engine.generate(request(engine, { grammar, logitBias }), quiet()));
  const { body } = (await fake.asked())[0]!;
  assert.equal(body["grammar"], grammar);
  assert.deepEqual(body["logit_bias"], [[5, false], [6, 2]]);
  const sent = ["temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "seed"]
    .map((name) => body[name]);
  assert.deepEqual(sent, [0.8, 40, 0.9, 0, 1, 1, 1]);
});

test("a slot's prompt is kept for its own client only", async () => {
  await using fake = await open("llama-server", 1);
  const { engine } = fake;
  for (const client of ["one", "one", "two", "one"]) {
    await all(engine.generate(request(engine, { client }), quiet()));
  }
  const asked = await fake.computed();
  assert.deepEqual(asked.map((body) => body["cache_prompt"]), [false, true, false, false]);
  assert.deepEqual(asked.map((body) => body["id_slot"]), [0, 0, 0, 0]);
});

test("a slot whose request the engine refused is not that client's: another's prompt may still be in it", async () => {
  await using fake = await open("llama-server", 1);
  const { engine } = fake;
  await all(engine.generate(request(engine, { client: "one" }), quiet()));
  const refused = request(engine, { client: "two" });
  const sampling = { ...refused.sampling, seed: 500 };
  await assert.rejects(all(engine.generate({ ...refused, sampling }, quiet())));
  await all(engine.generate(request(engine, { client: "two" }), quiet()));
  const asked = await fake.computed();
  assert.deepEqual(asked.map((body) => body["cache_prompt"]), [false, false, false]);
});

test("who has left already asks for nothing", async () => {
  await using fake = await open("llama-server", 1);
  const left = AbortSignal.abort();
  await assert.rejects(all(fake.engine.generate(request(fake.engine), left)), coded("cancelled"));
  assert.deepEqual(await fake.asked(), []);
});

test("who goes at the last event leaves no slot taken", async () => {
  await using fake = await open("llama-server", 1);
  const { engine } = fake;
  for (let i = 0; i < 3; i++) {
    const events = engine.generate(request(engine), quiet())[Symbol.asyncIterator]();
    for (let next = await events.next(); next.value?.type !== "done"; next = await events.next());
    assert.equal(engine.slotsBusy(), 0);
  }
});

test("more than its slots wait in a circle of clients; one who leaves makes room", async () => {
  await using fake = await open("llama-server", 1);
  const { engine } = fake;
  const endless = request(engine, { maxTokens: -1, client: "first" });
  const leave = new AbortController();
  const running = engine.generate(endless, leave.signal)[Symbol.asyncIterator]();
  await running.next();
  assert.equal(engine.slotsBusy(), 1);
  const order: string[] = [];
  const waiting = ["two", "two", "three"].map(async (client) => {
    await all(engine.generate(request(engine, { client }), quiet()));
    order.push(client);
  });
  const impatient = new AbortController();
  const gone = all(engine.generate(request(engine, { client: "four" }), impatient.signal));
  impatient.abort();
  await assert.rejects(gone, coded("cancelled"));
  await running.return!();
  await Promise.all(waiting);
  assert.deepEqual(order, ["two", "three", "two"]);
  assert.equal(engine.slotsBusy(), 0);
});

test("what the engine refuses, and its end, are errors that hold none of its words", async () => {
  await using fake = await open("llama-server");
  const { engine } = fake;
  const seeded = (seed: number) =>
    all(engine.generate(request(engine, { sampling: { ...DEFAULT_SAMPLING, seed } }), quiet()));
  await assert.rejects(seeded(500), (error) => {
    assert.ok(error instanceof SecLlamaError);
    assert.equal(error.code, "model-failed");
    assert.doesNotMatch(error.message, /on purpose/);
    return true;
  });
  // In the middle of a reply.
  await assert.rejects(seeded(501), (error) => {
    assert.ok(error instanceof SecLlamaError);
    assert.equal(error.code, "model-failed");
    assert.equal(error.message, "llama-server gave the reply up in its middle, with error 500");
    assert.ok(error.hint);
    return true;
  });
  await assert.rejects(seeded(666), coded("model-failed"));
  await assert.rejects(seeded(1), coded("model-failed"));
  assert.equal(engine.slotsBusy(), 0);
});

test("a prompt of more than the context is refused before the engine sees it", async () => {
  await using fake = await open("llama-server");
  const { engine } = fake;
  const prompt = new Int32Array(512).fill(5);
  assert.throws(
    () => engine.generate(request(engine, { prompt }), quiet())[Symbol.asyncIterator](),
    coded("context-too-long"),
  );
  assert.deepEqual(await fake.asked(), []);
});

test("who reads a reply slowly is no engine that has hung", async () => {
  await using fake = await open("llama-server", 1);
  const { engine } = fake;
  const endless = request(engine, { maxTokens: -1 });
  const events = engine.generate(endless, quiet())[Symbol.asyncIterator]();
  await events.next();
  const before = engine.steps();
  assert.equal(engine.slotsBusy(), 1);
  assert.ok(engine.steps() > before);
  await events.return!();
  const after = engine.steps();
  assert.equal(engine.steps(), after);
});

for (const kind of ["llama-server", "vllm"] as const) {
  for (const [what, seed, moves] of [["has hung", 777, false], ["reads", 778, true]] as const) {
    test(`${kind} (a fake) that ${what} ${moves ? "makes steps" : "makes none, though it answers"}`, async () => {
      await using fake = await open(kind);
      const { engine } = fake;
      const leave = new AbortController();
      const sampling = { ...DEFAULT_SAMPLING, seed };
      const waits = all(engine.generate(request(engine, { sampling }), leave.signal));
      waits.catch(() => {});
      const probes = async () =>
        (await fake.asked()).filter(({ path }) => path === "/metrics").length;
      const until = async (count: number) => {
        for (let turn = 0; await probes() < count; turn++) {
          assert.ok(turn < 10_000, "it is not asked for its work");
          engine.steps();
        }
      };
      // What it tells first is news in any case.
      await until(2);
      const before = engine.steps();
      await until(6);
      assert.equal(engine.steps() > before, moves);
      assert.equal(await fake.healthy(), true, "it answers all the while");
      leave.abort();
      await assert.rejects(waits, coded("cancelled"));
    });
  }
}
