/**
 * Floods of connections that show little, at the proxy and at the gateway, by this user and by another one: real requests are all
 * served meanwhile. At full size with SECLLAMA_FULL=1. How long each takes is measured by bench/flood_bench.ts.
 */
import assert from "node:assert/strict";
import { type Served, startServe } from "../support/serve.ts";
import {
  askOnce,
  type FloodKind,
  PLAIN_FLOODS,
  sealedFlood,
  startFlood,
  whyNoFlood,
} from "../support/flood.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** More than the places that there are, or it would be no attack. */
const SAMPLE = 600;
const REQUESTS = FULL ? 40 : 4;
const noFlood = await whyNoFlood(false);
const noOther = await whyNoFlood(true);
if (noFlood) console.log(`skipped: floods; ${noFlood}`);
if (noOther) console.log(`skipped: another user's floods; ${noOther}`);

/** One request of each kind, each on a connection of its own. @returns Their statuses, 0: none. */
async function realRequests({ proxyUrl, gatewayUrl }: Served): Promise<number[]> {
  const body = { model: "demo", prompt: "Hi", stream: false, options: { num_predict: 1 } };
  return [
    await askOnce(`${proxyUrl}/api/generate`, body),
    await askOnce(`${gatewayUrl}/api/tags`),
  ];
}

const localId = ({ banner }: Served) => `local.${/key +([0-9a-f]{16})/.exec(banner)![1]}`;

async function allKinds(served: Served): Promise<Record<"proxy" | "gateway", FloodKind[]>> {
  return {
    proxy: [...PLAIN_FLOODS],
    gateway: [
      ...PLAIN_FLOODS,
      await sealedFlood(served.gatewayUrl, localId(served), { drips: false }),
      await sealedFlood(served.gatewayUrl, localId(served), { drips: true }),
    ],
  };
}

Deno.test({
  name: "floods: without shares, a flood shuts the gateway",
  ignore: noFlood !== undefined,
  async fn() {
    const served = await startServe({
      entry: new URL("./unshared_main.ts", import.meta.url).pathname,
    });
    try {
      assert.deepEqual(await realRequests(served), [200, 200]);
      // The proxy is a process of its own, of the program as it is.
      const flood = await startFlood(served.gatewayUrl, PLAIN_FLOODS[0]!, {
        another: false,
        count: 2 * SAMPLE,
        again: 10,
      });
      try {
        // One that finds a place in the moment after another's end is luck.
        let refused = false;
        for (let n = 0; n < 20 && !refused; n++) {
          refused = (await realRequests(served)).some((status) => status !== 200);
        }
        assert.ok(refused, "none was refused");
      } finally {
        await flood.stop();
      }
    } finally {
      await served.stop();
    }
  },
});

Deno.test({
  name: "floods: real requests are all served meanwhile",
  ignore: noFlood !== undefined,
  async fn(t) {
    const served = await startServe();
    try {
      const kinds = await allKinds(served);
      for (const target of ["proxy", "gateway"] as const) {
        for (const [at, kind] of kinds[target].entries()) {
          for (const another of [false, true]) {
            if (another && noOther) continue;
            // Of the sample, each kind once, by one user or the other.
            if (!FULL && another !== (at % 2 === (target === "proxy" ? 1 : 0))) continue;
            const who = another ? "another user" : "this user";
            await t.step(`${kind.name} at the ${target} by ${who}`, async () => {
              const count = FULL ? kind.count : SAMPLE;
              const url = target === "proxy" ? served.proxyUrl : served.gatewayUrl;
              const flood = await startFlood(url, kind, { another, count });
              try {
                for (let n = 0; n < REQUESTS; n++) {
                  assert.deepEqual(await realRequests(served), [200, 200]);
                }
              } finally {
                await flood.stop();
              }
            });
          }
        }
      }
    } finally {
      await served.stop();
    }
  },
});
