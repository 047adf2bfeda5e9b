/**
 * What the record and the limits of a firm cost, in one run on this machine.
 *
 *     deno run -A bench/firm_bench.ts [LINES]
 */
import process from "node:process";
import { receiptId, receiptMac } from "../src/api/receipt_mac.ts";
import { label } from "../src/log.ts";
import { exchange, withLog } from "../src/audit/testing.ts";
import {
  AuditDatabase,
  type AuditEntry,
  AuditSigner,
  exportLines,
  readExport,
  verifyLog,
} from "../src/audit/mod.ts";
import { Metrics } from "../src/app/metrics.ts";
import { ERROR_TABLE, type ErrorCode } from "../src/errors.ts";
import { Limiter } from "../src/firm/limiter.ts";
import { UsageFile } from "../src/firm/usage_file.ts";
import type { Role } from "../src/keys/mod.ts";

const CLIENTS = 10_000;
const ROUNDS = 20_000;

function percentile(times: number[], part: number): number {
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * part)]!;
}

function row(name: string, value: string): void {
  console.log(`  ${name.padEnd(56)}${value}`);
}

/** A request's whole way through the limits, in a list of ten thousand clients. */
async function benchLimits(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-bench-" });
  try {
    using file = UsageFile.open(folder);
    const limiter = new Limiter(file);
    const role: Role = {
      name: "staff",
      requestsPerMinute: 1_000_000,
      requestsPerDay: 1_000_000,
      tokensPerDay: 1_000_000_000,
      atOnce: 100,
    };
    for (let i = 0; i < CLIENTS; i++) limiter.admit(`client ${i}`, role).end();
    const times: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const started = performance.now();
      const ticket = limiter.admit(`client ${i * 7_919 % CLIENTS}`, role);
      ticket.limits();
      ticket.used(700);
      ticket.end();
      times.push(performance.now() - started);
      if (i % 500 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    row(
      `limits of one request, ${CLIENTS} clients`,
      `p50 ${(percentile(times, 0.5) * 1000).toFixed(1)} µs, p99 ${
        (percentile(times, 0.99) * 1000).toFixed(1)
      } µs`,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A line as long as a gateway's: with all that it says of an exchange. */
function line(i: number): AuditEntry {
  const client = `client-${i % CLIENTS}`;
  const counts = { bytes_in: 400 + i % 300, bytes_out: 900 + i % 3_000, tokens_in: 20 + i % 40 };
  return {
    event: "exchange",
    fields: {
      ...{ kind: label("sealed"), client: label(client), kind_of_client: label("app") },
      client_id: label((i % CLIENTS).toString(16).padStart(16, "0")),
      ...{ model: label("demo:latest"), digest: label(`sha256:${"91defb40".repeat(8)}`) },
      ...{ isolation: label("strict"), ...counts, tokens_out: 40 + i % 200, ms: 300 + i % 4_000 },
      result: label("answered"),
    },
  };
}

async function benchRecord(lines: number): Promise<void> {
  await withLog(async (rig) => {
    const log = await rig.open();
    let started = performance.now();
    const times: number[] = [];
    for (let at = 0; at < lines;) {
      const batch = Math.min(50, lines - at);
      const begun = performance.now();
      await Promise.all(Array.from({ length: batch }, () => log.record(line(at++))));
      times.push((performance.now() - begun) / batch);
    }
    await log.close();
    const s = (performance.now() - started) / 1000;
    row(
      `record: ${lines} lines, 50 at a time`,
      `${Math.round(lines / s)} lines a second, p50 ${
        (percentile(times, 0.5) * 1000).toFixed(0)
      } µs each`,
    );
    using db = AuditDatabase.read(rig.folder)!;
    const encoder = new TextEncoder();
    const rows = exportLines(db).map((row) => encoder.encode(`${row}\n`));
    const file = new Blob(rows.toArray());
    const exported = readExport(new Uint8Array(await file.arrayBuffer()));
    using signer = await AuditSigner.of(rig.manager);
    const signers = new Map([[signer.kid, signer]]);
    const ways = [
      ["an export", exported, {}],
      ["without tags", db, {}],
      ["with tags", db, { signers }],
    ] as const;
    for (const [name, file, options] of ways) {
      started = performance.now();
      const before = process.cpuUsage().user;
      const verdict = verifyLog(file, options);
      const took = (performance.now() - started) / 1000;
      // Of a machine that others use, too, the processor's time says more.
      const used = (process.cpuUsage().user - before) / 1e6;
      if (verdict.problems.length > 0) throw new Error(JSON.stringify(verdict.problems));
      const million = (s: number) => (s / verdict.lines * 1e6).toFixed(1);
      row(
        `verify: ${verdict.lines} lines, ${name}`,
        `${million(took)} s for a million, ${million(used)} s of a processor`,
      );
    }
  });
}

/** What a client waits for that fetches a receipt, once the log's blocks are known. */
async function benchReceipts(lines: number): Promise<void> {
  await withLog(async (rig) => {
    const log = await rig.open();
    const ids = Array.from({ length: 200 }, (_, i) => i.toString(16).padStart(32, "0"));
    for (let at = 0; at < lines; at += 1_000) {
      const batch = Array.from({ length: Math.min(1_000, lines - at) }, (_, i) => exchange(at + i));
      await Promise.all(batch.map((entry) => log.record(entry)));
    }
    for (const id of ids) {
      const { event, fields } = exchange(1);
      await log.record({ event, fields: { ...fields, receipt: label(id) } });
    }
    const first = performance.now();
    await log.receipt(ids[0]!);
    const times: number[] = [];
    const began = performance.now();
    for (const id of ids) {
      const started = performance.now();
      await log.receipt(id);
      times.push(performance.now() - started);
    }
    row(
      `receipt, a log of ${lines} lines`,
      `first ${(began - first).toFixed(0)} ms, then p50 ${percentile(times, 0.5).toFixed(2)} ms`,
    );
    await log.close();
    const secret = new Uint8Array(32);
    const body = new Uint8Array(2_048);
    const macs: number[] = [];
    for (let i = 0; i < 5_000; i++) {
      const started = performance.now();
      receiptId(secret);
      for (const part of ["request", "reply"] as const) {
        const mac = receiptMac(secret, part);
        mac.update(body);
        mac.digest();
      }
      macs.push(performance.now() - started);
    }
    row(
      "receipt: what a message pays that asks for one, 2 KiB each way",
      `p50 ${(percentile(macs, 0.5) * 1000).toFixed(0)} µs`,
    );
  });
}

/** What Prometheus waits for, of a host that has asked thirty models and refused for every reason. */
async function benchMetrics(): Promise<void> {
  const metrics = new Metrics(undefined);
  const models = Array.from({ length: 30 }, (_, i) => `model-${i}:latest`);
  const codes = Object.keys(ERROR_TABLE) as ErrorCode[];
  for (const [i, model] of models.entries()) {
    for (let n = 0; n < 200; n++) {
      const result = n % 10 === 0 ? codes[(n + i) % codes.length]! : "answered";
      const fields = { model: label(model), kind: label("sealed"), result: label(result) };
      const numbers = { ms: n, bytes_in: 400, bytes_out: 900, tokens_in: 20, tokens_out: 40 };
      await metrics.record("exchange", { ...fields, ...numbers });
      metrics.timed(model, { prompt: 20, reply: 40, firstMs: n, restMs: 40 * n });
    }
    metrics.loaded("model-loaded", { model: label(model), load_ms: 900 });
  }
  for (const code of codes) metrics.answered(code);
  const loaded = models.map((name) => ({
    name,
    active: 1,
    queued: 2,
    isolation: { level: "strict" },
  }));
  const measured = {
    supervisor: { loaded: () => loaded, waiting: 0, keys: { paired: CLIENTS } },
    models: { list: () => [] },
    keys: { active: { createdMs: 0 }, changes: () => "" },
    activity: { startedMs: 0 },
    audit: { admit() {}, lag: () => ({ lines: 1e6, unsigned: 3, sinks: [] }) },
    fleet: undefined,
  } as unknown as Parameters<Metrics["text"]>[0];
  const times: number[] = [];
  let bytes = 0;
  const before = process.cpuUsage().user;
  for (let i = 0; i < 300; i++) {
    const started = performance.now();
    bytes = (await metrics.text(measured)).length;
    times.push(performance.now() - started);
  }
  row(
    `/metrics: ${models.length} models, ${bytes} bytes`,
    `p50 ${percentile(times, 0.5).toFixed(2)} ms, p99 ${percentile(times, 0.99).toFixed(2)} ms, ${
      ((process.cpuUsage().user - before) / 3e5).toFixed(2)
    } ms of a processor`,
  );
}

if (import.meta.main) {
  await benchLimits();
  await benchMetrics();
  await benchRecord(Number(Deno.args[0] ?? 100_000));
  await benchReceipts(Number(Deno.args[0] ?? 100_000));
}
