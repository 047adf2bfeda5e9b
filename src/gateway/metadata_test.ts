import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import { PROOF_HEADER } from "../sealed/proof.ts";
import { makeGatewayApp } from "./app.ts";
import type { GatewayContext } from "./context.ts";
import { loadedRows } from "./routes/metadata.ts";
import { contextOf, PAIRED, proofOf } from "./testing.ts";

/** As the supervisor has it. */
const row = (name: string, contextLength: number) => ({
  ...{ name, contextLength, sizeBytes: 1, manifestDigest: "sha256:0", expiresAtMs: 0 },
  isolation: { level: "strict" },
});

const REQUEST = { method: "GET", target: "/api/ps", body: new Uint8Array(0) };

Deno.test("ps: whose loads are shown, and who may stop models, is by a key that was proved, on loopback too", async () => {
  const waits: string[] = [];
  const context = contextOf({
    supervisor: {
      keys: { may: () => true, has: () => true },
      loaded: () => [row("demo", 1)],
      awaited: (client: string) => (waits.push(client), []),
    },
    models: { list: () => Promise.resolve([]) },
    fleet: {
      label: "gpu-1",
      hasClient: () => true,
      others: () => [{ label: "gpu-2", models: [], loaded: [{ name: "other" }] }],
    },
  });
  const app = makeGatewayApp(context);
  const ask = async (psk?: Uint8Array) => {
    const proof = proofOf(REQUEST, psk);
    const request = new Request("http://gw.lan/api/ps", { headers: { [PROOF_HEADER]: proof } });
    const answer = await app.fetch(request, {});
    const { models } = await answer.json();
    const hosts = models.map(({ host }: { host?: string }) => host);
    return [answer.headers.get("secllama-may"), hosts, waits.pop()];
  };
  // In a fleet each row says whose it is, that of the host that answers too.
  assert.deepEqual(await ask(), ["stop", ["gpu-1", "gpu-2"], `${PAIRED.pskId} `]);
  assert.deepEqual(await ask(new Uint8Array(32)), [null, [undefined], "plain "]);
});

Deno.test("fleet: what a host says of its models spoils no list, and only the fleet's clients are sent there", async () => {
  const models = [undefined, "2026-11-30T00:00:00Z", "x", 7, { toString: 1 }, nested(20_000)].map(
    (modified_at, i) => ({ name: `m${i}:latest`, modified_at }),
  );
  let isFleets = true;
  const context = contextOf({
    supervisor: { keys: { may: () => false, has: () => true }, awaited: () => [] },
    models: {
      list: () => Promise.resolve([]),
      resolve: (name: string) => Promise.reject(new SecLlamaError("model-not-found", name)),
    },
    fleet: {
      label: "",
      hasClient: () => isFleets,
      others: () => [{ label: "gpu-2", models, loaded: [{ name: "m0:latest" }] }],
      place: () => `gpu-2.${"02".repeat(16)}`,
    },
  });
  const app = makeGatewayApp(context);
  const ask = async (target: string) => {
    const headers = { [PROOF_HEADER]: proofOf({ ...REQUEST, target }) };
    const answer = await app.fetch(new Request(`http://gw.lan${target}`, { headers }), {});
    return { status: answer.status, json: await answer.json() };
  };
  const { json: { data } } = await ask("/v1/models");
  assert.deepEqual(data.map(({ id }: { id: string }) => id), models.map(({ name }) => name));
  assert.deepEqual(data.map(({ created }: { created: number }) => created > 0), [
    ...[false, true, false, false, false, false],
  ]);
  assert.equal((await ask("/v1/models/m0")).status, 421);
  isFleets = false;
  assert.deepEqual((await ask("/v1/models")).json.data, []);
  for (const path of ["/api/tags", "/api/ps"]) {
    assert.deepEqual((await ask(path)).json.models, [], path);
  }
  const { status, json } = await ask("/v1/models/m0");
  assert.deepEqual([status, json.error.code], [404, "model_not_found"]);
});

function nested(depth: number): unknown {
  return JSON.parse("[".repeat(depth) + "]".repeat(depth));
}

Deno.test("ps: a model that drains while it is loaded anew is one row, the newer", async () => {
  const rows = await loadedRows(
    {
      models: { list: () => Promise.resolve([]) },
      // As the supervisor has them: the newest first.
      supervisor: { loaded: () => [row("demo", 4096), row("other", 1024), row("demo", 2048)] },
    } as unknown as GatewayContext,
  );
  assert.deepEqual(
    rows.map((one) => [one.name, one.context_length]),
    [["demo", 4096], ["other", 1024]],
  );
});
