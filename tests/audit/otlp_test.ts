/** The audit log's lines at a collector that refuses, hangs, answers garbage, sends elsewhere, and at last takes them. */
import assert from "node:assert/strict";
import { OtlpSink } from "../../src/audit/mod.ts";
import { withLog } from "../../src/audit/testing.ts";
import { label } from "../../src/log.ts";

interface Got {
  readonly path: string;
  readonly records: { body: { stringValue: string }; attributes: unknown[]; eventName: string }[];
}

const recordsOf = (body: string) =>
  JSON.parse(body).resourceLogs[0].scopeLogs[0].logRecords as Got["records"];

Deno.test("otlp: a collector that is away, hangs, answers garbage or a redirect loses nothing, and holds nobody up", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    for (let i = 0; i < 450; i++) {
      await log.record({ event: "exchange", fields: { client: label("laptop"), i, half: 0.5 } });
    }
    // Raw: HTTP's own server cannot answer as badly.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const bad = [
      "HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n",
      "hello? 220 smtp.example\r\n\r\n",
      undefined, // says nothing
      "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nthis never ends",
    ];
    let asked = 0;
    const all = Promise.withResolvers<void>();
    const got: Got[] = [];
    const seen = new Set<number>();
    const open: Deno.Conn[] = [];
    const serving = (async () => {
      for await (const conn of listener) {
        open.push(conn);
        void answer(conn).catch(() => {});
      }
    })();
    async function answer(conn: Deno.Conn): Promise<void> {
      const { path, body } = await readRequest(conn);
      const how = bad[asked++];
      if (asked <= bad.length) {
        // A success is one whatever its body says: those are taken.
        if (how?.startsWith("HTTP/1.1 200")) take(path, body);
        if (how !== undefined) await conn.write(new TextEncoder().encode(how));
        if (how !== undefined && !how.startsWith("HTTP/1.1 200")) conn.close();
        return;
      }
      take(path, body);
      await conn.write(
        new TextEncoder().encode(
          "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
        ),
      );
      conn.close();
    }
    function take(path: string, body: string): void {
      const records = recordsOf(body);
      got.push({ path, records });
      for (const { body: { stringValue } } of records) seen.add(JSON.parse(stringValue).n);
      if (seen.size === 451) all.resolve();
    }
    const aways: unknown[] = [];
    const hold = setInterval(() => {}, 1_000);
    const sink = new OtlpSink({
      dataDir: rig.folder,
      host: "secllama-0707",
      url: `http://127.0.0.1:${port}/v1/logs`,
      onAway: (error) => aways.push(error),
      timeoutMs: 300,
      firstWaitMs: 20,
    });
    try {
      await all.promise;
      assert.equal(aways.length, 1, "it says once that it is away");
      assert.ok(got.every(({ path }) => path === "/v1/logs"));
      const record = got[0]!.records[1]!;
      assert.equal(record.eventName, "secllama.exchange");
      assert.deepEqual(record.attributes.slice(1), [
        { key: "client", value: { stringValue: "laptop" } },
        { key: "i", value: { intValue: "0" } },
        { key: "half", value: { doubleValue: 0.5 } },
      ]);
      // In their order; nothing came twice, since no answer was lost after its status.
      const order = got.flatMap(({ records }) =>
        records.map(({ body }) => JSON.parse(body.stringValue).n)
      );
      assert.deepEqual(order, Array.from({ length: 451 }, (_, n) => n));
    } finally {
      await sink.close(0);
      clearInterval(hold);
      listener.close();
      for (const conn of open) {
        try {
          conn.close();
        } catch { /* it is */ }
      }
      await serving;
      await log.close();
    }
  }));

async function readRequest(conn: Deno.Conn): Promise<{ path: string; body: string }> {
  const decoder = new TextDecoder();
  let text = "";
  const buffer = new Uint8Array(1 << 16);
  for (;;) {
    const read = await conn.read(buffer);
    if (read === null) throw new Error("cut");
    text += decoder.decode(buffer.subarray(0, read), { stream: true });
    const [head, body] = text.split("\r\n\r\n");
    const length = /content-length: (\d+)/i.exec(head!)?.[1];
    if (body !== undefined && length !== undefined && body.length >= Number(length)) {
      return { path: head!.split(" ")[1]!, body };
    }
  }
}
