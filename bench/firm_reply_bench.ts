/**
 * What the record and the limits of a firm add to a message and to each token of its reply, at the gateway: the same exchanges through
 * the same relay, with and without them, in turn, in one run; and once more with a receipt, its MACs over 2 KiB each way included. A
 * token is a frame of 64 bytes. A runner makes the MACs without a compiler: `--v8-flags=--jitless` on this whole program shows what
 * they cost there.
 *
 *     deno run -A bench/firm_reply_bench.ts [ROUNDS]        default 2000
 */
import { countUsed, type GatewayAudit, recordedExchange } from "../src/gateway/audit.ts";
import { SEALED_TYPE } from "../src/api/media_types.ts";
import { relay } from "../src/gateway/relay.ts";
import type { UsedTokens } from "../src/api/pipe_messages.ts";
import { receiptId, receiptMac } from "../src/api/receipt_mac.ts";
import type { ReceiptWord } from "../src/supervisor/runner_process.ts";
import { withLog } from "../src/audit/testing.ts";
import { Limiter } from "../src/firm/limiter.ts";
import { UsageFile } from "../src/firm/usage_file.ts";
import type { Role } from "../src/keys/mod.ts";
import { label } from "../src/log.ts";
import { type Exchange, Pipe } from "../src/pipe/pipe.ts";
import type { LoadedModel } from "../src/supervisor/supervisor.ts";
import { median } from "./median.ts";

/** Tokens of a short and of a long reply. */
const [SHORT, LONG] = [1, 257];
const TOKEN = new Uint8Array(64);
/** Of a request, and of a reply, that there is a receipt of. */
const BODY = new Uint8Array(2_048);
/** What an exchange is asked with. */
const KINDS = ["bare", "recorded", "receipted"] as const;
type Kind = typeof KINDS[number];
const ROLE: Role = {
  name: "staff",
  requestsPerMinute: 1_000_000,
  requestsPerDay: 1_000_000,
  tokensPerDay: 1_000_000_000,
  atOnce: 100,
};

/** A gateway's pipe, joined in memory to a runner that answers with as many tokens as the request's first byte pair says. */
function joined(
  tokens: () => number,
  used: (tokens: UsedTokens) => void,
  receipt: () => void,
): Pipe {
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
    async onExchange(exchange) {
      await exchange.respond({
        status: 200,
        headers: { "content-type": SEALED_TYPE },
      });
      const count = tokens();
      for (let i = 0; i < count; i++) await exchange.write(TOKEN);
      used({ prompt: 20, reply: count });
      receipt();
      await exchange.end();
    },
  });
  void gateway.run().catch(() => {});
  void runner.run().catch(() => {});
  return gateway;
}

const rounds = Number(Deno.args[0] ?? 2_000);
await withLog(async (rig) => {
  const log = await rig.open();
  using file = UsageFile.open(rig.folder);
  const limiter = new Limiter(file);
  const audit: GatewayAudit = {
    admit: () => log.check(),
    record: (event, fields) => log.record({ event, fields }).then(() => {}),
    refused() {},
  };
  let [count, told] = [SHORT, (_: UsedTokens) => {}];
  let kind: Kind = "bare";
  let toldReceipt = (_: ReceiptWord) => {};
  const pipe = joined(() => count, (tokens) => told(tokens), () => {
    if (kind === "receipted") toldReceipt(receiptWord());
  });
  const model = {
    name: "demo:latest",
    digest: `sha256:${"91defb40".repeat(8)}`,
    isolation: { level: "strict" },
    runner: {
      onSaid(
        _: Exchange,
        said: { used(tokens: UsedTokens): void; receipt(word: ReceiptWord): void },
      ) {
        told = said.used;
        toldReceipt = said.receipt;
      },
    },
  } as unknown as LoadedModel;
  const who = { client: label("client-1"), client_id: label("0".repeat(16)) };
  /** One exchange, µs. */
  const exchange = async (tokens: number, as: Kind): Promise<number> => {
    const firm = as !== "bare";
    count = tokens;
    kind = as;
    told = () => {};
    const started = performance.now();
    if (firm) await audit.admit();
    const ticket = firm ? limiter.admit("client 1", ROLE) : undefined;
    const opened = pipe.open({ kind: "sealed" });
    const on = firm ? { audit } : {};
    const used = firm
      ? countUsed(on, model, opened, undefined, (tokens) => ticket!.used(tokens))
      : undefined;
    const { ending } = used === undefined
      ? { ending: undefined }
      : recordedExchange(on, { who, model, kind: "sealed", used });
    const response = await relay(opened, {
      kind: "sealed",
      body: null,
      first: TOKEN,
      signal: new AbortController().signal,
      arrived() {},
      done: () => ticket?.end(),
      // As the gateway's route does, whatever the settings are.
      ending: async (end) => await ending?.(end),
    });
    const { length } = await response.bytes();
    if (length !== tokens * TOKEN.length) throw new Error(`${response.status}: ${length} bytes`);
    return (performance.now() - started) * 1000;
  };
  const times = new Map<string, number[]>();
  for (let i = -50; i < rounds; i++) {
    for (const tokens of [SHORT, LONG]) {
      for (const as of i % 2 === 0 ? KINDS : KINDS.toReversed()) {
        const took = await exchange(tokens, as);
        const key = `${tokens} ${as}`;
        if (i >= 0) times.getOrInsertComputed(key, () => []).push(took);
      }
    }
  }
  await log.close();
  const of = (tokens: number, as: Kind) => median(times.get(`${tokens} ${as}`)!);
  const token = (as: Kind) => (of(LONG, as) - of(SHORT, as)) / (LONG - SHORT);
  const row = (name: string, without: number, beside: number) =>
    console.log(
      `  ${name.padEnd(32)}without ${without.toFixed(2)} µs, with ${beside.toFixed(2)} µs: ` +
        `${(beside - without).toFixed(2)} more, ${(beside / without).toFixed(3)} times`,
    );
  row("a message of one token", of(SHORT, "bare"), of(SHORT, "recorded"));
  row("the same with a receipt", of(SHORT, "bare"), of(SHORT, "receipted"));
  row("each further token", token("bare"), token("recorded"));
});
Deno.exit(0);

/** As a runner makes it: runner/receipted.ts. */
function receiptWord(): ReceiptWord {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const [request, reply] = (["request", "reply"] as const).map((part) => {
    const mac = receiptMac(secret, part);
    mac.update(BODY);
    return mac.digest();
  });
  return { id: receiptId(secret), request: request!, reply: reply! };
}
