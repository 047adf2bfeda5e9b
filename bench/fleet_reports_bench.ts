/**
 * What hosts of a fleet say to each other by a real NATS, one node: messages and bytes of NATS' own counters (its /varz), for a round
 * in which each host reports once, and one in which each writes counts of one client once. A second's share follows from how often
 * hosts do that (src/fleet/heartbeat.ts, usage.ts), so a busy machine changes nothing. Each host has a connection of its own.
 *
 *     deno run -A --frozen --config tests/deps.json bench/fleet_reports_bench.ts [HOSTS…]
 */
import { toHex } from "../src/bytes.ts";
import { Heartbeat } from "../src/fleet/heartbeat.ts";
import { natsPermissions } from "../src/fleet/nats_permissions.ts";
import { NatsStore } from "../src/fleet/nats_store.ts";
import { natsIdentity } from "../src/fleet/nkey.ts";
import { FleetUsage } from "../src/fleet/usage.ts";
import type { FleetStore } from "../src/fleet/store.ts";
import { freePort } from "../tests/fleet/hosts.ts";
import { startNats } from "../tests/fleet/nats.ts";
import { until } from "../tests/support/patience.ts";

const SIZES = Deno.args.length > 0 ? Deno.args.map(Number) : [3, 10, 30, 100];
const ROUNDS = 3;
/** As heartbeat.ts and usage.ts have it: how long a round takes, s. */
const beatSeconds = (hosts: number) => Math.max(2, 0.02 * hosts);
const countSeconds = (hosts: number) => Math.max(0.5, 0.01 * hosts);

const MODEL = {
  ...{ digest: "0".repeat(64), size: 4_920_753_328, modified_at: new Date().toISOString() },
  details: {
    ...{ format: "gguf", family: "llama", families: ["llama"], parent_model: "" },
    ...{ parameter_size: "8.0B", quantization_level: "Q4_K_M" },
  },
};
const models = ["llama3.1:8b", "qwen3:8b", "gemma3:12b"].map((name) => ({ name, ...MODEL }));
const { modified_at, ...LOADED } = MODEL;
const loaded = [{
  ...{ name: "llama3.1:8b", ...LOADED, expires_at: modified_at },
  ...{ size_vram: 0, context_length: 8_192 },
}];

const key = crypto.getRandomValues(new Uint8Array(32));

/** NATS' counters: of all connections, both ways. */
async function counters(port: number): Promise<{ messages: number; bytes: number }> {
  const varz = await (await fetch(`http://127.0.0.1:${port}/varz`)).json();
  const { in_msgs, out_msgs, in_bytes, out_bytes } = varz;
  return { messages: in_msgs + out_msgs, bytes: in_bytes + out_bytes };
}

console.log(
  "hosts | a report: messages  KiB, of all hosts in a second | KiB a host | counts: messages  KiB | KiB a host",
);
for (const hosts of SIZES) {
  await using stack = new AsyncDisposableStack();
  const seeds = Array.from({ length: hosts + 1 }, () => crypto.getRandomValues(new Uint8Array(32)));
  const hids = seeds.map((seed) => seed.slice(16));
  const users = seeds.map((seed, i) =>
    natsPermissions(natsIdentity(seed).user, i === 0 ? "issuer" : { hid: toHex(hids[i]!) })
  );
  const port = freePort();
  const authorization = JSON.stringify({ users });
  const nats = stack.use(
    await startNats(`http: "127.0.0.1:${port}"\nauthorization: ${authorization}`),
  );
  const { servers, ca } = nats;
  stack.use(await NatsStore.open({ servers, ca, seed: seeds[0]!, replicas: 1 }));
  const all: { heartbeat: Heartbeat; usage: FleetUsage }[] = [];
  let heard = 0;
  for (let i = 1; i <= hosts; i++) {
    const own = stack.use(await NatsStore.open({ servers, ca, seed: seeds[i]! }));
    const store: FleetStore = new Proxy(own, {
      get(target, name) {
        if (name === "watch") {
          return (prefix: string, told: (name: string, text?: string) => void) =>
            own.watch(prefix, (name, text) => {
              heard++;
              told(name, text);
            });
        }
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const member = {
      ...{ hid: hids[i]!, reportKey: key, version: 7, hosts },
      hasClient: () => true,
    };
    const said = {
      ...{ label: `gpu-${i}`, version: "0.1.0", models, loaded, active: 1, parallel: 4 },
    };
    const heartbeat = stack.use(
      new Heartbeat({ member, store: () => store, look: () => Promise.resolve(said) }),
    );
    const usage = stack.use(
      new FleetUsage({
        member,
        store: () => store,
        isThere: () => true,
        kept: () => new Map(),
        onUnread(error) {
          throw error;
        },
      }),
    );
    all.push({ heartbeat, usage });
  }
  /** Each host says it once, until all have heard it. @returns NATS' share of one round. */
  const measured = async (say: (host: (typeof all)[number], round: number) => Promise<void>) => {
    const round = async (n: number) => {
      const before = heard;
      // One after another, as they come in a fleet: all at once is too much for the one process that they share here.
      for (const host of all) await say(host, n);
      await until(() => heard >= before + hosts * hosts, "all have heard it");
    };
    // The first one makes the watches.
    for (const host of all) await say(host, 0);
    // What was there before is heard too.
    for (let last = -1; last !== heard;) {
      last = heard;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    const before = await counters(port);
    for (let n = 1; n <= ROUNDS; n++) await round(n);
    const { messages, bytes } = await counters(port);
    return {
      messages: (messages - before.messages) / ROUNDS,
      bytes: (bytes - before.bytes) / ROUNDS,
    };
  };
  const reports = await measured(({ heartbeat }) => heartbeat.beat());
  const counts = await measured(async ({ usage }, n) => {
    const at = Math.floor(Date.now() / 60_000);
    const counted = {
      minute: { at, requests: n, tokens: n * 100 },
      day: { at: Math.floor(at / 1_440), requests: n, tokens: n * 100 },
    };
    usage.counted(`client ${"a".repeat(32)}`, counted, 1);
    await usage.flush();
  });
  const row = ({ messages, bytes }: typeof reports, seconds: number) =>
    `${(messages / seconds).toFixed(0)}  ${(bytes / 1024 / seconds).toFixed(0)} | ${
      (bytes / 1024 / seconds / hosts).toFixed(1)
    }`;
  console.log(
    `${hosts} | ${row(reports, beatSeconds(hosts))} | ${row(counts, countSeconds(hosts))}`,
  );
}
