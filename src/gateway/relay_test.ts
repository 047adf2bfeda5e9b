import assert from "node:assert/strict";
import { type Exchange, Pipe, WINDOW_BYTES } from "../pipe/pipe.ts";
import { relay } from "./relay.ts";
import { until } from "../../tests/support/patience.ts";

/** A gateway's pipe, joined in memory to a runner's. */
function joined(onExchange: (exchange: Exchange) => Promise<void>) {
  const [toRunner, toGateway] = [1, 2].map(() =>
    new TransformStream<Uint8Array, Uint8Array>(undefined, { highWaterMark: 1 << 20 })
  ) as [TransformStream<Uint8Array>, TransformStream<Uint8Array>];
  const writers = [toRunner.writable.getWriter(), toGateway.writable.getWriter()] as const;
  const onControl = () => {};
  const gateway = new Pipe({
    side: "gateway",
    readable: toGateway.readable,
    write: (bytes) => writers[0].write(bytes),
    onControl,
  });
  const runner = new Pipe({
    side: "runner",
    readable: toRunner.readable,
    write: (bytes) => writers[1].write(bytes),
    onControl,
    onExchange,
  });
  const runs = [gateway.run().catch(() => {}), runner.run().catch(() => {})];
  const stop = async () => {
    for (const writer of writers) await writer.close().catch(() => {});
    await Promise.all(runs);
  };
  return { gateway, runner, stop };
}

Deno.test("relay: an answer that came before the whole request leaves no exchange behind", async () => {
  // As a runner refuses: it answers, and takes no more of what the client still sends.
  const p = joined(async (exchange) => {
    await exchange.respond({ status: 401, headers: {} });
    await exchange.write(new Uint8Array(8));
    await exchange.end();
  });
  let done = 0;
  for (let i = 0; i < 8; i++) {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(WINDOW_BYTES)),
    });
    const response = await relay(p.gateway.open({}), {
      kind: "sealed",
      body: body.getReader(),
      first: undefined,
      signal: new AbortController().signal,
      arrived: () => {},
      done: () => done++,
    });
    assert.equal(response.status, 401);
    assert.equal((await response.bytes()).length, 8);
  }
  assert.equal(done, 8);
  // Each that stayed would hold a window of bytes; after MAX_EXCHANGES of them nobody is served any more.
  await until(
    () => p.gateway.openExchanges === 0 && p.runner.openExchanges === 0,
    "no exchange is left",
  );
  assert.deepEqual([p.gateway.openExchanges, p.runner.openExchanges], [0, 0]);
  await p.stop();
});

Deno.test("relay: a runner decides on its content's type and caching, and on nothing else of the answer's head", async () => {
  const p = joined(async (exchange) => {
    await exchange.respond({
      status: 200,
      headers: {
        "content-type": "application/json",
        "cache-control": "no-cache",
        "retry-after": "1",
        "access-control-allow-origin": "*",
        "set-cookie": "a=b",
        "Connection": "upgrade",
        "secllama-model-management": "off",
      },
    });
    await exchange.end();
  });
  const response = await relay(p.gateway.open({}), {
    kind: "sealed",
    body: null,
    first: undefined,
    signal: new AbortController().signal,
    arrived: () => {},
    done: () => {},
  });
  assert.deepEqual([...response.headers].map(([name]) => name), [
    "cache-control",
    "content-type",
    "retry-after",
  ]);
  await response.bytes();
  await p.stop();
});

Deno.test("relay: no answer of a runner's is of a type that a browser runs, and none of its words names a runner but a key's", async () => {
  const [json, sealed] = ["application/json", "application/vnd.secllama.sealed;v=1"];
  const lines = ["application/x-ndjson", "text/event-stream; charset=utf-8"];
  const allowed = { key: [json], sealed: [sealed], plain: [json, ...lines] };
  const types = [
    ...[json, sealed, ...lines, "text/html", "TEXT/HTML; charset=utf-8", "text/xml"],
    ...["image/svg+xml", "application/xhtml+xml", "text/javascript", "application/pdf", ""],
    ...["application/json, text/html", `${sealed}, text/html`, "text/html;v=1"],
  ];
  for (const kind of ["key", "sealed", "plain"] as const) {
    for (const type of types) {
      const p = joined(async (exchange) => {
        const headers = { "content-type": type, "secllama-runner": "0123456789abcdef" };
        await exchange.respond({ status: 200, headers });
        await exchange.end();
      });
      const { headers, body } = await relay(p.gateway.open({}), {
        kind,
        body: null,
        first: undefined,
        signal: new AbortController().signal,
        arrived: () => {},
        done: () => {},
      });
      await body?.cancel();
      const passed = allowed[kind].includes(type);
      assert.equal(headers.get("content-type"), passed ? type : "application/octet-stream");
      assert.equal(headers.has("secllama-runner"), kind === "key");
      await p.stop();
    }
  }
});

Deno.test("relay: what a runner says in clear is the gateway's own word for it, or an internal error", async () => {
  const cases: [body: string, type: string, status: number, code: string][] = [
    [
      '{"type":"urn:secllama:sealed:replay","detail":"send me your key","hint":"run: evil"}',
      "application/problem+json",
      409,
      "replay",
    ],
    [
      '{"type":"urn:secllama:sealed:clock","title":"evil","status":200}',
      "Application/Problem+JSON; charset=utf-8",
      425,
      "clock",
    ],
    [
      '{"type":"urn:secllama:sealed:evil","detail":"evil"}',
      "application/problem+json",
      500,
      "internal",
    ],
    ["evil", "application/problem+json", 500, "internal"],
    [`{"detail":"${"evil".repeat(4096)}"}`, "application/problem+json", 500, "internal"],
  ];
  for (const [body, type, status, code] of cases) {
    const p = joined(async (exchange) => {
      await exchange.respond({
        status: 200,
        headers: { "content-type": type, "retry-after": "9" },
      });
      await exchange.write(new TextEncoder().encode(body));
      await exchange.end();
    });
    const response = await relay(p.gateway.open({}), {
      kind: "sealed",
      body: null,
      first: undefined,
      signal: new AbortController().signal,
      arrived: () => {},
      done: () => {},
    });
    const text = await response.text();
    assert.deepEqual([response.status, JSON.parse(text).type], [
      status,
      `urn:secllama:sealed:${code}`,
    ]);
    assert.doesNotMatch(text + JSON.stringify([...response.headers]), /evil|send me|"9"/);
    await p.stop();
  }
});
