/**
 * What sealing costs, beside an inference that keeps the cores busy: per message, per token, for an image, in the relay, and
 * in memory. Figures of one run; each with the project's goal.
 */
import { readFileSync } from "node:fs";
import { type Bytes, utf8 } from "../src/bytes.ts";
import { sealedFetch } from "../src/client/mod.ts";
import { FakeHost } from "../src/sealed/fake_host.ts";
import { Hpke } from "../src/sealed/hpke.ts";
import { randomBytes } from "../src/sealed/primitives.ts";
import { Recipient } from "../src/sealed/recipient.ts";
import { ReplyOpener } from "../src/sealed/reply_opener.ts";
import { ReplySealer } from "../src/sealed/reply_sealer.ts";
import { sealRequest, verifyKeyDocument } from "../src/sealed/sender.ts";
import { suiteById } from "../src/sealed/suite.ts";
import { localCredentials } from "../tests/support/credentials.ts";
import { type Served, startServe } from "../tests/support/serve.ts";
import { startRig } from "./wire_rig.ts";

const TOKEN = utf8(
  '{"model":"demo","created_at":"2026-01-01T00:00:00.000Z","message":{"role":"assistant","content":" the"},"done":false}\n',
);
const CLOCK_TICKS = 100; // of /proc/<pid>/stat, per second

function percentile(values: readonly number[], share = 0.5): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]!;
}

function row(name: string, value: string, goal = ""): void {
  console.log(`  ${name.padEnd(68)}${value.padEnd(34)}${goal && `goal ${goal}`}`);
}

const us = (ms: number) => `${(ms * 1000).toFixed(ms < 0.1 ? 1 : 0)} µs`;

async function msOf(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Requests in a circle, so that the model is always at work. */
function inferenceBeside(served: Served) {
  const controller = new AbortController();
  const running = (async () => {
    while (!controller.signal.aborted) {
      await fetch(`${served.gatewayUrl}/api/generate`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: "demo",
          prompt: "Once",
          raw: true,
          stream: false,
          format: { type: "array", items: { type: "integer" }, minItems: 400 },
          options: { num_predict: 400 },
        }),
        signal: controller.signal,
      }).then((response) => response.text()).catch(() => {});
    }
  })();
  return async () => {
    controller.abort();
    await running;
  };
}

/** Sealed and plain requests to one gateway that takes both, in turn: what sealing adds end to end. */
async function messages(served: Served, key: Bytes): Promise<void> {
  const credentials = await localCredentials(served.home, key);
  const message = JSON.stringify({
    model: "demo",
    messages: [{ role: "user", content: "x ".repeat(500) }],
    max_tokens: 1,
  });
  const image = JSON.stringify({
    model: "demo",
    messages: [{ role: "user", content: "see", images: ["A".repeat(10 << 20)] }],
  });
  const ask = async (send: typeof fetch, path: string, body: string) => {
    const response = await send(`${served.gatewayUrl}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    await response.arrayBuffer();
  };
  for (const suite of [1, 2]) {
    const sealed = sealedFetch({
      gateway: served.gatewayUrl,
      credentials: () => Promise.resolve(credentials),
      suite,
    });
    const [a, b]: number[][] = [[], []];
    for (let i = 0; i < 600; i++) {
      const plainMs = await msOf(() => ask(fetch, "/v1/messages/count_tokens", message));
      const sealedMs = await msOf(() => ask(sealed, "/v1/messages/count_tokens", message));
      if (i < 100) continue; // warm-up
      a!.push(plainMs);
      b!.push(sealedMs);
    }
    // The tenth percentile as well: of a busy machine's median most is waiting for a core.
    for (const [name, share] of [["p50", 0.5], ["p10", 0.1]] as const) {
      const [plainMs, sealedMs] = [percentile(a!, share), percentile(b!, share)];
      row(
        `a message of 1 KB through the gateway, suite ${suite}: added, ${name}`,
        `${us(sealedMs - plainMs)}  (${us(plainMs)} → ${us(sealedMs)})`,
        suite === 1 ? "300 µs at p50" : "",
      );
    }
    if (suite === 2) continue;
    const ratios: number[] = [];
    for (let i = 0; i < 12; i++) {
      const plainMs = await msOf(() => ask(fetch, "/api/chat", image));
      const sealedMs = await msOf(() => ask(sealed, "/api/chat", image));
      if (i >= 2) ratios.push(sealedMs / plainMs);
    }
    row("a request with an image of 10 MB, sealed ÷ plain", percentile(ratios).toFixed(2), "1.15");
  }
}

/** Both ends in this process; the runner's end without a compiler is measured by `sealTokens`. */
async function bothEnds(): Promise<void> {
  const psk = randomBytes(32);
  const pskId = "local.0123456789abcdef";
  const body = utf8(JSON.stringify({ model: "demo", prompt: "x".repeat(1000) }));
  for (const suite of [1, 2]) {
    const host = new FakeHost(() => psk);
    const recipient = await Recipient.init({
      model: "demo:latest",
      ...host.recipient,
      suites: [suite],
      limits: { replayEntries: 1_000_000 },
    });
    const challenge = randomBytes(16);
    const document = await host.document(recipient, { pskId, challenge, model: "demo", suite });
    const at = Date.now();
    const times = {
      psk,
      hid: host.hid,
      model: "demo",
      challenge,
      sentAt: at,
      receivedAt: at,
      suite,
    };
    const key = await verifyKeyDocument(document, times);
    const [sealing, opening, whole]: number[][] = [[], [], []];
    const rounds = 1500;
    for (let i = 0; i < rounds; i++) {
      const start = performance.now();
      const now = Date.now();
      const options = { pskId, method: "POST", path: "/api/chat", headers: {}, body, now };
      const sealed = await sealRequest(key, options);
      const between = performance.now();
      const { reply } = await recipient.open(ReadableStream.from([sealed.body]));
      const opened = performance.now();
      await sealed.reply.push(reply.head(200, {}, { final: true }));
      sealing!.push(between - start);
      opening!.push(opened - between);
      whole!.push(performance.now() - start);
    }
    row(
      `suite ${suite}: seal and open 1 KB and its reply's head, both ends`,
      `${us(percentile(whole!))}  (seal ${us(percentile(sealing!))}, open ${
        us(percentile(opening!))
      })`,
    );
  }
  await resumed(body);
}

/** The same frames and derivations with the KEM left out: the least that a resumed exchange would still cost. */
async function resumed(body: Uint8Array): Promise<void> {
  const { kem } = suiteById(1).hpke;
  const [shared, enc] = [randomBytes(32), randomBytes(32)];
  const pair = await kem.GenerateKeyPair(false);
  const hpke = new Hpke({
    ...kem,
    Encap: () => Promise.resolve({ shared_secret: shared, enc }),
    Decap: () => Promise.resolve(shared),
  });
  const [label, aad] = [utf8("secllama/1 commit"), new Uint8Array(4)];
  const options = {
    info: utf8("info"),
    psk: randomBytes(32),
    pskId: utf8("local.0123456789abcdef"),
  };
  const times: number[] = [];
  for (let i = 0; i < 1500; i++) {
    times.push(
      await msOf(async () => {
        const { context } = await hpke.setupSender(pair.publicKey, options);
        context.export(label, 32);
        const sealed = await context.seal(body, aad);
        const secret = context.export(label, 32);
        const recipient = await hpke.setupRecipient(pair, enc, options);
        recipient.export(label, 32);
        await recipient.open(sealed, aad);
        const opener = new ReplyOpener(secret, enc);
        const sealer = new ReplySealer(recipient.export(label, 32), enc);
        await opener.push(sealer.head(200, {}, { final: true }));
      }),
    );
  }
  row("suite 1 without its KEM: the least a resumed exchange would cost", us(percentile(times)));
}

async function tokens(): Promise<void> {
  const [secret, enc] = [randomBytes(32), randomBytes(32)];
  const sealer = new ReplySealer(secret, enc);
  const opener = new ReplyOpener(secret, enc);
  await opener.push(sealer.head(200, {}));
  const times: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const frame = sealer.frame(TOKEN);
    const started = performance.now();
    await opener.push(frame);
    times.push(performance.now() - started);
  }
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--v8-flags=--jitless", import.meta.filename!, "seal-tokens"],
  }).output();
  const sealing = Number(new TextDecoder().decode(stdout));
  const opening = percentile(times);
  row(
    "a token of 118 bytes, both ends (the runner's without a compiler)",
    `${us(sealing + opening)}  (seal ${us(sealing)}, open ${us(opening)})`,
    "10 µs",
  );
}

/** Run in a process without a compiler, as the runner is: prints the median ms of sealing one token. */
function sealTokens(): void {
  const sealer = new ReplySealer(randomBytes(32), randomBytes(32));
  sealer.head(200, {});
  const times: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const started = performance.now();
    sealer.frame(TOKEN);
    times.push(performance.now() - started);
  }
  console.log(percentile(times));
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) * 1024;
}

async function relay(): Promise<void> {
  const rig = await startRig();
  const sealed = sealedFetch({
    gateway: rig.url,
    credentials: () => Promise.resolve(rig.credentials),
    model: "demo",
  });
  try {
    const frames = 60_000;
    const flood = async () => {
      const { body } = await sealed(`/flood/${frames}`);
      for await (const _ of body!) { /* only to take it */ }
    };
    await flood();
    const rates: number[] = [];
    const walls: number[] = [];
    for (let i = 0; i < 5; i++) {
      const before = cpuSeconds(rig.gatewayPid);
      walls.push(frames / (await msOf(flood)) * 1000);
      rates.push(frames / (cpuSeconds(rig.gatewayPid) - before));
    }
    const text = (rate: number) => Math.round(rate).toLocaleString("en");
    row(
      "sealed frames a second of one core of the gateway, HTTP and pipe",
      `${text(percentile(rates))}  (${text(percentile(walls))} a second went through)`,
      "20,000",
    );
    const streams = 500;
    const pids = [rig.gatewayPid, rig.runnerPid];
    const resident = () => pids.map(residentBytes).reduce((a, b) => a + b, 0);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const before = resident();
    const open = await Promise.all(Array.from({ length: streams }, async () => {
      const reader = (await sealed("/idle")).body!.getReader();
      await reader.read();
      return reader;
    }));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const grown = resident() - before;
    row(
      `${streams} idle streams: memory of gateway and runner together`,
      `${(grown / 1e6).toFixed(0)} MB`,
      "100 MB",
    );
    await Promise.all(open.map((reader) => reader.cancel()));
  } finally {
    await rig.stop();
  }
}

/** The whole section of `deno task bench`. */
export async function benchWire(): Promise<void> {
  console.log("sealing, with an inference beside it (medians)");
  const key = randomBytes(32);
  const served = await startServe({
    env: {
      SECLLAMA_KEY: `sl1:${key.toBase64()}`,
      SECLLAMA_ENABLE_ENCRYPTION: "false", // the same gateway then takes plain requests too, to compare
    },
    args: ["--no-proxy"],
  });
  const stop = inferenceBeside(served);
  try {
    await messages(served, key);
    await bothEnds();
    await tokens();
    await relay();
  } finally {
    await stop();
    await served.stop();
  }
}

if (import.meta.main) {
  if (Deno.args[0] === "seal-tokens") sealTokens();
  else {
    await benchWire();
    Deno.exit(0);
  }
}
