/**
 * How long real requests take while a port is flooded with connections that show little: 2,000 silent ones, 600 bodies that stop,
 * 600 heads of a byte a second; at the gateway also 600 sealed requests that name this machine's own key and stop, or drip. At the
 * proxy by this user, at the gateway by another one where this is run as root.
 *
 *     deno run -A bench/flood_bench.ts
 */
import { startServe } from "../tests/support/serve.ts";
import {
  type FloodKind,
  PLAIN_FLOODS,
  sealedFlood,
  startFlood,
  whyNoFlood,
} from "../tests/support/flood.ts";

const REQUESTS = 50;
const another = await whyNoFlood(true) === undefined;
const served = await startServe();

/** One small request on a connection of its own, ms; Infinity: refused. */
async function ask(): Promise<number> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const before = performance.now();
  try {
    const response = await fetch(`${served.proxyUrl}/api/generate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "demo",
        prompt: "Hi",
        stream: false,
        options: { num_predict: 1 },
      }),
      client,
    });
    await response.text();
    return response.ok ? performance.now() - before : Infinity;
  } catch {
    return Infinity;
  }
}

async function measure(name: string): Promise<void> {
  const times: number[] = [];
  for (let n = 0; n < REQUESTS; n++) times.push(await ask());
  times.sort((a, b) => a - b);
  const of = (part: number) => Math.round(times[Math.floor(part * (REQUESTS - 1))]!);
  console.log(`${name}: median ${of(0.5)} ms, worst ${of(1)} ms`);
}

async function flooded(url: string, kind: FloodKind, o: { another: boolean; at: string }) {
  const flood = await startFlood(url, kind, o);
  await measure(`${kind.count} ${kind.name} at the ${o.at}`).finally(() => flood.stop());
}

try {
  console.log(`load ${Deno.loadavg()[0]!.toFixed(1)}`);
  await measure("no flood");
  for (const kind of PLAIN_FLOODS) {
    await flooded(served.proxyUrl, kind, { another: false, at: "proxy by this user" });
    if (!another) continue;
    await flooded(served.gatewayUrl, kind, { another: true, at: "gateway by another user" });
  }
  const own = `local.${/key +([0-9a-f]{16})/.exec(served.banner)![1]}`;
  for (const drips of [false, true]) {
    if (!another) break;
    const kind = await sealedFlood(served.gatewayUrl, own, { drips });
    await flooded(served.gatewayUrl, kind, { another: true, at: "gateway by another user" });
  }
} finally {
  await served.stop();
}
