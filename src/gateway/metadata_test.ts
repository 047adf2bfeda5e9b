import assert from "node:assert/strict";
import { loadConfig } from "../config/config.ts";
import { silentLogger } from "../log.ts";
import { makeProof, PROOF_HEADER } from "../sealed/proof.ts";
import { deriveHostPsk, deriveProofKey } from "../sealed/psk.ts";
import { Activity } from "./activity.ts";
import { makeGatewayApp } from "./app.ts";
import type { GatewayContext } from "./context.ts";
import { loadedRows } from "./routes/metadata.ts";

const PSK_ID = `client.00112233445566ff.${"01".repeat(16)}`;
const PSK = new Uint8Array(32).fill(7);
const HID = new Uint8Array(16).fill(1);
const REQUEST = { method: "GET", target: "/api/ps", body: new Uint8Array(0) };

Deno.test("ps: whose loads are shown, and who may stop models, is by a key that was proved, on loopback too", async () => {
  const waits: string[] = [];
  const context = {
    config: loadConfig({ env: {} }),
    supervisor: {
      loaded: () => [],
      proven: () => {},
      proofKey: () => Promise.resolve({ hid: HID, key: deriveProofKey(deriveHostPsk(PSK, HID)) }),
      mayStop: () => true,
      isKnown: () => true,
      awaited: (client: string) => (waits.push(client), []),
    },
    models: { list: () => Promise.resolve([]) },
    logger: silentLogger,
    version: "0",
    keys: { backend: "memory", active: { kid: "0".repeat(16), createdMs: null }, warnings: [] },
    activity: new Activity(),
    remote: false,
    fleet: { others: () => [{ label: "gpu-2", models: [], loaded: [{ name: "other" }] }] },
  } as unknown as GatewayContext;
  const app = makeGatewayApp(context);
  const ask = async (psk: Uint8Array) => {
    const now = Date.now() + 1_000;
    const proof = makeProof(REQUEST, { psk, pskId: PSK_ID, hid: HID, now });
    const request = new Request("http://gw.lan/api/ps", { headers: { [PROOF_HEADER]: proof } });
    const answer = await app.fetch(request, {});
    const { models } = await answer.json();
    return [answer.headers.get("secllama-may"), models.length, waits.pop()];
  };
  assert.deepEqual(await ask(PSK), ["stop", 1, `${PSK_ID} `]);
  assert.deepEqual(await ask(new Uint8Array(32)), [null, 0, "plain "]);
});

Deno.test("ps: a model that drains while it is loaded anew is one row, the newer", async () => {
  const row = (name: string, contextLength: number) => ({
    name,
    contextLength,
    sizeBytes: 1,
    manifestDigest: "sha256:0",
    expiresAtMs: 0,
  });
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
