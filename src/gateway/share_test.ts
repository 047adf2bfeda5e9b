import assert from "node:assert/strict";
import { SEALED_TYPE } from "../api/media_types.ts";
import { loadConfig } from "../config/config.ts";
import { SecLlamaError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { encodeRequestHeader } from "../sealed/header.ts";
import { Activity } from "./activity.ts";
import { makeGatewayApp } from "./app.ts";
import type { GatewayContext } from "./context.ts";
import { shareOf } from "./share.ts";
import { noLimits } from "./testing.ts";

const KNOWN = "local.0011223344556677";
const RK = new Uint8Array(8).fill(5);

/** Whose share each sealed request takes of, in the order of `asked`. */
async function sharesOf(asked: readonly { pskId: string; party: string }[]): Promise<string[]> {
  const taken: string[] = [];
  const model = {
    open(_head: unknown, { client }: { client: string }) {
      taken.push(client);
      throw new SecLlamaError("busy", "enough");
    },
  };
  const context = {
    config: loadConfig({ env: {} }),
    supervisor: {
      loaded: () => [],
      keys: {
        shared: true,
        knows: (id: string) => Promise.resolve(id === KNOWN),
        give: () => {},
      },
      dropReplaced: () => Promise.resolve(),
      byRecipient: () => model,
    },
    limits: noLimits(),
    logger: silentLogger,
    activity: new Activity(),
    remote: false,
  } as unknown as GatewayContext;
  const app = makeGatewayApp(context);
  for (const { pskId, party } of asked) {
    const request = new Request("http://127.0.0.1/sealed/v1", {
      method: "POST",
      headers: { "content-type": SEALED_TYPE },
      body: encodeRequestHeader({ suite: 1, rk: RK, pskId }),
    });
    const answer = await app.fetch(request, { party });
    assert.equal(answer.status, 503);
    await answer.body?.cancel();
  }
  return taken;
}

Deno.test("shares: ids that nobody has are one share of whoever makes them up", async () => {
  const made = Array.from({ length: 20 }, (_, n) => ({ pskId: `local.${n}`, party: "uid 1" }));
  const known = { pskId: KNOWN, party: "uid 1" };
  const another = { ...made[0]!, party: "uid 2" };
  const taken = await sharesOf([...made, known, another]);
  assert.equal(taken.length, 22);
  // The control: by the ids alone they would be twenty.
  assert.equal(new Set(made.map(({ pskId, party }) => shareOf({ party }, pskId))).size, 20);
  assert.equal(new Set(taken.slice(0, 20)).size, 1);
  assert.equal(new Set(taken).size, 3);
});
