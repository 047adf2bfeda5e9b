/**
 * What a second host brings: sealed requests through HAProxy, to one host and to two, by as many clients as all of their slots can
 * serve and more. Gateways, pipes, sessions and HAProxy are the real ones; the engine is simulated, as waiting, since this machine
 * has too few processors for two that compute. Several rounds in turn; the middle of each.
 *
 *     deno run -A --frozen bench/fleet_speed_bench.ts [ROUNDS SECONDS]
 */
import { startBalancer } from "../tests/fleet/balancers.ts";
import { sealedFetch } from "../src/client/mod.ts";
import { median } from "./median.ts";
import { SLOTS, startRig } from "./wire_rig.ts";

const [ROUNDS, SECONDS] = [Number(Deno.args[0] ?? 5), Number(Deno.args[1] ?? 8)];
/** Of the simulated engine, for each request: four at once on each host. */
const ENGINE_MS = 400;
const CLIENTS = 24;
/** Before it is counted: until all slots are busy. */
const WARM_MS = 2_000;

const psk = crypto.getRandomValues(new Uint8Array(32));
const hid = crypto.getRandomValues(new Uint8Array(16));
const credentials = { pskId: "local.0123456789abcdef", psk, hid };
const rigs = [
  await startRig({ label: "gpu-1", credentials }),
  await startRig({ label: "gpu-2", credentials }),
];
const ports = rigs.map(({ url }) => Number(new URL(url).port));
const without = (text: string) => text.replace(/^ *server gpu-2 .*$/m, "");
const balancers = {
  one: await startBalancer("haproxy", ports, without),
  two: await startBalancer("haproxy", ports),
};

/** Requests a second, and those that failed. */
async function load(url: string): Promise<{ rate: number; failed: number }> {
  const begin = performance.now() + WARM_MS;
  const end = begin + SECONDS * 1000;
  let [done, failed] = [0, 0];
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    const client = sealedFetch({ gateway: url, credentials: () => Promise.resolve(credentials) });
    while (performance.now() < end) {
      try {
        const answer = await client(`/wait/${ENGINE_MS}`, {
          method: "POST",
          body: JSON.stringify({ model: "demo" }),
        });
        await answer.text();
        // What began in one span and ended in another is the other's.
        if (performance.now() >= begin && performance.now() < end) done++;
      } catch {
        failed++;
      }
    }
  }));
  return { rate: done / SECONDS, failed };
}

const rates = { one: [] as number[], two: [] as number[] };
let failed = 0;
try {
  for (let round = -1; round < ROUNDS; round++) {
    for (const which of ["one", "two"] as const) {
      const got = await load(balancers[which].url);
      failed += got.failed;
      if (round >= 0) rates[which].push(got.rate);
    }
  }
} finally {
  for (const balancer of Object.values(balancers)) await balancer[Symbol.asyncDispose]();
  for (const rig of rigs) await rig.stop();
}
const [one, two] = [median(rates.one), median(rates.two)];
console.log(
  `one host  ${one.toFixed(1)} requests/s of ${(SLOTS * 1000 / ENGINE_MS).toFixed(0)} at most`,
);
console.log(`two hosts ${two.toFixed(1)} requests/s; failed: ${failed}`);
console.log(`two / one ${(two / one).toFixed(2)}`);
