/** What the door costs: the start, sealing, the chain of processes, and many connections. */
import { makeRandomGguf } from "../../runner/engine/testing_gguf.ts";
import type { Bytes } from "../../src/bytes.ts";
import { sealedFetch } from "../../src/client/mod.ts";
import { randomBytes } from "../../src/sealed/primitives.ts";
import { compiledProgram } from "../../tests/support/binary.ts";
import { localCredentials } from "../../tests/support/credentials.ts";
import { type Served, startServe } from "../../tests/support/serve.ts";
import { descendants, startLlamaServer, startOurs } from "../server_sides.ts";
import { median } from "../median.ts";
import type { Samples } from "./server.ts";

const DEMO = new URL("../../models/demo.gguf", import.meta.url).pathname;
const JSON_TYPE = { "content-type": "application/json" };

/** ms from starting `serve`, compiled, to its banner, less those of llama-server to its health. */
export async function measureStart(peer: string, rounds: number): Promise<number[]> {
  const program = compiledProgram();
  if (program === "") return [];
  const options = { model: DEMO, slots: 4, context: 1024, threads: 1 };
  const timed = async (start: () => Promise<{ stop(): Promise<unknown> }>) => {
    const began = performance.now();
    const side = await start();
    const ms = performance.now() - began;
    await side.stop();
    return ms;
  };
  const samples: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const ours = await timed(() => startServe({ program }));
    const theirs = await timed(() => startLlamaServer(peer, options));
    if (round > 0) samples.push(ours - theirs);
  }
  return samples;
}

/** ms that sealing adds to a message of 1 KB, p50 of each block. */
export async function measureMessages(blocks: number): Promise<number[]> {
  const key: Bytes = randomBytes(32);
  const served = await startServe({
    env: { SECLLAMA_KEY: `sl1:${key.toBase64()}`, SECLLAMA_ENABLE_ENCRYPTION: "false" },
    args: ["--no-proxy"],
  });
  try {
    const credentials = await localCredentials(served.home, key);
    const sealed = sealedFetch({
      gateway: served.gatewayUrl,
      credentials: () => Promise.resolve(credentials),
    });
    const body = JSON.stringify({
      model: "demo",
      messages: [{ role: "user", content: "x ".repeat(500) }],
      max_tokens: 1,
    });
    const ask = async (send: typeof fetch) => {
      const began = performance.now();
      const url = `${served.gatewayUrl}/v1/messages/count_tokens`;
      const response = await send(url, { method: "POST", headers: JSON_TYPE, body });
      await response.arrayBuffer();
      return performance.now() - began;
    };
    const block = async () => {
      const [plain, closed]: number[][] = [[], []];
      for (let i = 0; i < 80; i++) {
        plain!.push(await ask(fetch));
        closed!.push(await ask(sealed));
      }
      return median(closed!) - median(plain!);
    };
    await block(); // compilers warm up
    const samples: number[] = [];
    while (samples.length < blocks) samples.push(await block());
    return samples;
  } finally {
    await served.stop();
  }
}

async function runnerPids({ gatewayUrl }: Served): Promise<Set<number>> {
  const status = await (await fetch(`${gatewayUrl}/api/security/status`)).json();
  return new Set(status.runners.map(({ pid }: { pid: number }) => pid));
}

/** Nanoseconds on a processor of all threads of a process (proc(5), schedstat). */
async function cpuOf(pid: number): Promise<number> {
  let sum = 0;
  for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
    const text = await Deno.readTextFile(`/proc/${pid}/task/${name}/schedstat`).catch(() => "0");
    sum += Number(text.split(" ")[0]);
  }
  return sum;
}

/** Through the proxy: µs of gateway and proxy for a token, and ms for a request where 32 ask at once. */
export async function measureChain(rounds: number): Promise<Pick<Samples, "token" | "request">> {
  const served = await startServe();
  const samples = { token: [] as number[], request: [] as number[] };
  const post = async (path: string, body: unknown) => {
    const response = await fetch(served.proxyUrl + path, {
      method: "POST",
      headers: JSON_TYPE,
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status}: ${text}`);
    return text;
  };
  const said = () =>
    post("/api/generate", {
      model: "demo",
      prompt: "Once",
      raw: true,
      format: { type: "array", items: { type: "integer" }, minItems: 400 },
      options: { num_predict: 400 },
    });
  const counted = () =>
    post("/v1/messages/count_tokens", {
      model: "demo",
      messages: [{ role: "user", content: "x" }],
    });
  try {
    await said();
    const runners = await runnerPids(served);
    for (let round = 0; round <= rounds; round++) {
      const others = [...await descendants(served.pid)].filter((pid) => !runners.has(pid));
      const cpu = async () => (await Promise.all(others.map(cpuOf))).reduce((a, b) => a + b, 0);
      const before = await cpu();
      const texts = await Promise.all([said(), said(), said(), said()]);
      const spent = await cpu() - before;
      const tokens = texts.map((text) => text.trimEnd().split("\n").length - 1)
        .reduce((a, b) => a + b, 0);
      const began = performance.now();
      let left = 640;
      const ask = async () => {
        while (left-- > 0) await counted();
      };
      await Promise.all(Array.from({ length: 32 }, ask));
      const ms = (performance.now() - began) / 640;
      if (round === 0) continue;
      samples.token.push(spent / 1000 / tokens);
      samples.request.push(ms);
    }
  } finally {
    await served.stop();
  }
  return samples;
}

/** 1,000 streams at the default limits: how many got no answer that could be read; and the memory of 200 that are open. */
export async function measureStreams(): Promise<Pick<Samples, "unread" | "stream">> {
  const dir = await Deno.makeTempDir({ prefix: "secllama-bench-" });
  const model = `${dir}/model.gguf`;
  makeRandomGguf("15M", "q8_0", model);
  const samples = { unread: [] as number[], stream: [] as number[] };
  const ours = await startOurs({ model, slots: 8, context: 1024, threads: 1 });
  try {
    // What the model computes in is touched before.
    const warm = Array.from(
      { length: 8 },
      () => ours.ask({ prompt: "Once", tokens: 600, cache: false }),
    );
    await Promise.all(warm);
    const before = await ours.memory();
    const leave = new AbortController();
    const open = Array.from({ length: 200 }, () => endless(ours.url!, leave.signal));
    // Those that generate have begun; the others wait for a slot, with all that they hold.
    const answers = Promise.allSettled(open);
    await Promise.race(open);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const grown = await ours.memory();
    leave.abort();
    await answers;
    if (before && grown) samples.stream.push((grown.all - before.all) / 200 / 1024);
    const gone = new AbortController();
    const asked = Array.from({ length: 1000 }, () => endless(ours.url!, gone.signal));
    const counted = Promise.allSettled(asked);
    // Enough for the listener to have answered all that it refuses.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    gone.abort();
    const results = await counted;
    const unread = results.filter((one) =>
      one.status === "rejected" && !(one.reason instanceof DOMException)
    );
    samples.unread.push(unread.length);
  } finally {
    await ours.stop();
    await Deno.remove(dir, { recursive: true });
  }
  return samples;
}

/** A reply without end. @returns Its status, when its first bytes are there; what it says is not read. */
async function endless(url: string, signal: AbortSignal): Promise<number> {
  const response = await fetch(`${url}/api/generate`, {
    method: "POST",
    headers: JSON_TYPE,
    body: JSON.stringify({
      model: "bench",
      prompt: "Once",
      raw: true,
      options: { num_predict: 900, temperature: 0 },
    }),
    signal,
  });
  if (!response.ok) await response.text();
  else await response.body!.getReader().read();
  return response.status;
}
