/**
 * An active attacker between a client and a real gateway: what it changes, repeats, reorders, cuts or puts in is refused.
 * Each case first shows that the undamaged bytes work. `src/sealed` has the same at the level of bytes, without a network.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { concat, toHex, utf8 } from "../../src/bytes.ts";
import { sealedFetch, type SealedFetchOptions } from "../../src/client/mod.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { SEALED_TYPE } from "../../src/api/media_types.ts";
import { randomBytes } from "../../src/sealed/primitives.ts";
import { sealRequest, verifyKeyDocument } from "../../src/sealed/sender.ts";
import { splitFrames } from "../../src/sealed/testing.ts";
import { type KnownGateway, serveWithKey } from "../library/testing.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const REPLY_PREFIX = 4 + 32 + 32;
const HOUR_MS = 3_600_000;
const QUESTION = {
  method: "POST",
  body: JSON.stringify({
    model: "demo",
    messages: [{ role: "user", content: "What is network isolation?" }],
    options: { temperature: 0, num_predict: 8 },
  }),
};

type Damage = (reply: Uint8Array) => Uint8Array[];

/** A client whose every byte the attacker carries. */
function attacked(served: KnownGateway, options: {
  reply?: Damage;
  onRequest?: (body: Uint8Array) => void;
  instead?: (url: URL, init: RequestInit) => Promise<Response> | undefined;
} & Partial<SealedFetchOptions> = {}) {
  const { reply, onRequest, instead, ...more } = options;
  return sealedFetch({
    gateway: served.gatewayUrl,
    credentials: () => Promise.resolve(served.credentials),
    fetch: async (input, init) => {
      const url = new URL(String(input));
      const replaced = instead?.(url, init!);
      if (replaced) return await replaced;
      if (url.pathname === "/sealed/v1") onRequest?.(init!.body as Uint8Array);
      const response = await fetch(input, init);
      if (url.pathname !== "/sealed/v1" || !reply || response.status !== 200) return response;
      const chunks = reply(new Uint8Array(await response.arrayBuffer()));
      return new Response(ReadableStream.from(chunks), response);
    },
    ...more,
  });
}

/** The code that reading a whole answer fails with, or its text. */
async function outcome(send: ReturnType<typeof sealedFetch>): Promise<string> {
  try {
    return await (await send("/api/chat", QUESTION)).text();
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, String(error));
    return error.code;
  }
}

/** Posts raw bytes as a sealed request. */
async function post(
  served: KnownGateway,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<{ status: number; code: string }> {
  const response = await fetch(`${served.gatewayUrl}/sealed/v1`, {
    method: "POST",
    headers: { "content-type": SEALED_TYPE, ...headers },
    body: body as Uint8Array<ArrayBuffer>,
  });
  const text = await response.text();
  return { status: response.status, code: /urn:secllama:sealed:([a-z-]+)/.exec(text)?.[1] ?? "" };
}

/** A sealed request that nobody has sent yet; `change` seals it otherwise. */
async function sealed(served: KnownGateway, change: { now?: number; pskId?: string } = {}) {
  const challenge = randomBytes(16);
  const { psk, pskId, hid } = served.credentials;
  const url = new URL("/sealed/v1/key", served.gatewayUrl);
  url.search = `model=demo&id=${pskId}&c=${toHex(challenge)}`;
  const at = Date.now();
  const document = await (await fetch(url)).json();
  const times = { psk, hid, model: "demo", challenge, sentAt: at, receivedAt: at };
  const key = await verifyKeyDocument(document, times);
  const { body } = await sealRequest(key, {
    pskId: change.pskId ?? pskId,
    path: "/api/chat",
    headers: {},
    now: Date.now() + (change.now ?? 0),
    ...QUESTION,
    body: utf8(QUESTION.body),
  });
  return body;
}

Deno.test("wire faults: an attacker before a real gateway", async (t) => {
  const served = await serveWithKey();
  try {
    await t.step("requests: flipped, cut, of others, of another time, again", async () => {
      const body = await sealed(served);
      const headerBytes = 15 + served.credentials.pskId.length;
      const places = body.length - headerBytes;
      const sampled = Array.from(
        { length: FULL ? places : 40 },
        (_, i) => headerBytes + (FULL ? i : Math.floor(i * places / 40)),
      );
      let flips = 0;
      for (const at of [...Array(headerBytes).keys(), ...sampled]) {
        const flipped = body.slice();
        flipped[at]! ^= 1 << (at % 8);
        const { status } = await post(served, flipped);
        assert.ok([400, 401, 422].includes(status), `byte ${at}: ${status}`);
        flips++;
      }
      for (const cut of [0, 3, headerBytes - 1, headerBytes + 40, body.length - 1]) {
        const { status } = await post(served, body.subarray(0, cut));
        assert.ok([400, 401].includes(status), `cut at ${cut}: ${status}`);
      }
      assert.equal((await post(served, concat(body, Uint8Array.of(0)))).code, "auth");
      const [first, ...frames] = [
        body.subarray(0, headerBytes + 64),
        ...splitFrames(body.subarray(headerBytes + 64)),
      ];
      assert.equal((await post(served, concat(first!, ...frames, frames[0]!))).code, "auth");
      const stranger = `client.${served.credentials.pskId.slice(6)}.${"0".repeat(32)}`;
      assert.equal((await post(served, await sealed(served, { pskId: stranger }))).code, "auth");
      for (const now of [HOUR_MS, -HOUR_MS]) {
        assert.equal((await post(served, await sealed(served, { now }))).code, "clock");
      }
      // None of all that used it up: as it was sealed, it works, once.
      assert.equal((await post(served, body)).status, 200);
      for (let i = 0; i < 3; i++) assert.equal((await post(served, body)).code, "replay");
      const twice = await sealed(served);
      const together = await Promise.all([post(served, twice), post(served, twice)]);
      assert.deepEqual(together.map(({ status }) => status).sort(), [200, 409]);
      console.log(
        `flipped ${flips} bytes of a request${FULL ? "" : " (SECLLAMA_FULL=1 flips all)"}`,
      );
    });

    await t.step("a compressed body, and another type", async () => {
      const body = await sealed(served);
      const zipped = new Response(
        new Response(body).body!.pipeThrough(new CompressionStream("gzip")),
      );
      const gzip = new Uint8Array(await zipped.arrayBuffer());
      for (const bytes of [gzip, body]) {
        const refused = await post(served, bytes, { "content-encoding": "gzip" });
        assert.ok([415, 426].includes(refused.status), String(refused.status));
      }
      assert.equal((await post(served, gzip)).code, "malformed");
      assert.equal((await post(served, body, { "content-type": "application/json" })).status, 426);
      assert.equal((await post(served, body)).status, 200);
    });

    await t.step("a body of 2 GB is refused early, and held nowhere", async () => {
      const body = await sealed(served);
      const { runners } = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
      const pids = [served.pid, runners[0].pid];
      const resident = () =>
        pids.map((pid) =>
          Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1])
        );
      const before = resident();
      const announced = await stream(served, body, "content-length: 2147483648");
      assert.match(announced.answer, /^HTTP\/1\.1 413 /);
      assert.ok(announced.sentBytes < 32e6, `${announced.sentBytes} bytes were taken`);
      const chunked = await stream(served, body, "transfer-encoding: chunked");
      assert.match(chunked.answer, /^HTTP\/1\.1 4(13|01) |^$/);
      assert.ok(chunked.sentBytes < 200e6, `${chunked.sentBytes} bytes were taken`);
      // Peaks, in kB: a body's limit of 64 MiB a few times over, and far from 2 GB.
      const grown = resident().map((kb, i) => kb - before[i]!);
      for (const kb of grown) assert.ok(kb < 400_000, `grew by ${kb} kB`);
      assert.equal((await post(served, body)).status, 200);
      console.log(
        `2 GB announced: ${announced.sentBytes} bytes taken; in chunks: ${chunked.sentBytes}; grown by ${grown} kB`,
      );
    });

    await t.step(
      "replies: flipped, frames dropped, swapped, doubled, cut, FINAL forged, more after it",
      async () => {
        let length = 0;
        const whole = await outcome(
          attacked(served, { reply: (bytes) => (length = bytes.length, [bytes]) }),
        );
        assert.match(whole, /"done":true/);
        const refusals = new Set(["auth", "truncated", "downgrade"]);
        const sizes = Array.from(
          { length: FULL ? 200 : 30 },
          (_, i) => Math.floor(i * length / (FULL ? 200 : 30)),
        );
        for (const at of sizes) {
          const code = await outcome(attacked(served, {
            reply(bytes) {
              const flipped = bytes.slice();
              flipped[at % flipped.length]! ^= 1 << (at % 8);
              return [flipped];
            },
          }));
          assert.ok(refusals.has(code), `byte ${at}: ${code}`);
        }
        const cases: Record<string, (frames: Uint8Array[]) => Uint8Array[]> = {
          dropped: (f) => [f[0]!, ...f.slice(2)],
          swapped: (f) => [f[0]!, f[2]!, f[1]!, ...f.slice(3)],
          doubled: (f) => [f[0]!, f[1]!, f[1]!, ...f.slice(2)],
          "cut before FINAL": (f) => f.slice(0, -1),
          "appended after FINAL": (f) => [...f, f.at(-1)!],
          "FINAL forged": (f) => [f[0]!, Uint8Array.of(1, ...f[1]!.subarray(1))],
          "FINAL made MORE": (f) => [...f.slice(0, -1), Uint8Array.of(0, ...f.at(-1)!.subarray(1))],
          "only FINAL": (f) => [f.at(-1)!],
        };
        for (const [name, change] of Object.entries(cases)) {
          const code = await outcome(attacked(served, {
            reply(bytes) {
              const frames = splitFrames(bytes.subarray(REPLY_PREFIX));
              assert.ok(frames.length >= 4);
              return [bytes.subarray(0, REPLY_PREFIX), ...change(frames)];
            },
          }));
          assert.ok(refusals.has(code), `${name}: ${code}`);
        }
        // A whole reply, honest in every byte, to another request.
        let earlier: Uint8Array | undefined;
        const replay = () => attacked(served, { reply: (bytes) => [earlier ??= bytes] });
        assert.match(await outcome(replay()), /"done":true/);
        assert.equal(await outcome(replay()), "auth");
      },
    );

    await t.step(
      "a gateway that answers unsealed, downgrades, or puts in its own key",
      async () => {
        let sent = 0;
        const instead = (path: string, answer: () => Response) => (url: URL) => {
          if (url.pathname === "/sealed/v1") sent++;
          return url.pathname === path ? Promise.resolve(answer()) : undefined;
        };
        const unsealed = () => Response.json({ message: { content: "trust me" }, done: true });
        const typed = () => new Response("trust me", { headers: { "content-type": SEALED_TYPE } });
        for (const answer of [unsealed, typed]) {
          assert.equal(
            await outcome(attacked(served, { instead: instead("/sealed/v1", answer) })),
            "downgrade",
          );
        }
        const redirect = () => Response.redirect("http://127.0.0.1:1/", 307);
        assert.notEqual(
          await outcome(attacked(served, { instead: instead("/sealed/v1", redirect) })),
          "",
        );
        sent = 0;
        const own = randomBytes(32).toBase64({ alphabet: "base64url", omitPadding: true });
        const substituted = attacked(served, {
          instead: (url, init) =>
            url.pathname === "/sealed/v1"
              ? (sent++, undefined)
              : fetch(url, init).then(async (r) => Response.json({ ...await r.json(), pk: own })),
        });
        assert.equal(await outcome(substituted), "auth");
        assert.equal(sent, 0, "something was sealed to the gateway's own key");
      },
    );

    await t.step(
      "a client whose clock is an hour off learns the host's; one that is set meanwhile, again",
      async () => {
        for (const off of [HOUR_MS, -HOUR_MS]) {
          assert.match(
            await outcome(attacked(served, { now: () => Date.now() + off })),
            /"done":true/,
          );
          let jump = 0;
          const set = attacked(served, { now: () => Date.now() + jump });
          assert.match(await outcome(set), /"done":true/);
          jump = off;
          assert.match(await outcome(set), /"done":true/);
        }
      },
    );

    await t.step(
      "across a restart of the runner nothing captured opens, and a client goes on",
      async () => {
        const captured: Uint8Array[] = [];
        const client = attacked(served, { onRequest: (body) => captured.push(body.slice()) });
        assert.match(await outcome(client), /"done":true/);
        const unsent = await sealed(served);
        const { runners } = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
        Deno.kill(runners[0].pid, "SIGKILL");
        // The request that meets the dying runner is told so; the next one finds its successor.
        let after = await outcome(client);
        if (after === "runner-died") after = await outcome(client);
        assert.match(after, /"done":true/);
        for (const body of [captured[0]!, unsent]) {
          assert.equal((await post(served, body)).code, "key-mismatch");
        }
      },
    );
  } finally {
    await served.stop();
  }
});

/** Sends `body`, then zeroes up to 2 GB, until the gateway answers or breaks off. */
async function stream(served: KnownGateway, body: Uint8Array, framing: string) {
  const { hostname, port } = new URL(served.gatewayUrl);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  const chunked = framing.includes("chunked");
  const piece = (bytes: Uint8Array) =>
    chunked ? concat(utf8(`${bytes.length.toString(16)}\r\n`), bytes, utf8("\r\n")) : bytes;
  const head =
    `POST /sealed/v1 HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: ${SEALED_TYPE}\r\n${framing}\r\n\r\n`;
  const answer = new Response(conn.readable).text().catch(() => "");
  let answered = false;
  void answer.then(() => answered = true);
  const writer = conn.writable.getWriter();
  // A frame of 1 MiB that goes on and on.
  const zeroes = piece(new Uint8Array(1 << 20));
  let sentBytes = 0;
  try {
    await writer.write(utf8(head));
    await writer.write(piece(body.subarray(0, body.length - 10)));
    while (!answered && sentBytes < 2 ** 31) {
      await writer.write(zeroes);
      sentBytes += zeroes.length;
    }
  } catch { /* it broke off: what it said, if it did, is in the answer */ }
  await writer.abort().catch(() => {});
  return { answer: await answer, sentBytes };
}
