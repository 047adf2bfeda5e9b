import assert from "node:assert/strict";
import { loadConfig } from "../config/config.ts";
import { silentLogger } from "../log.ts";
import { makeProof, PROOF_HEADER } from "../sealed/proof.ts";
import { deriveHostPsk, deriveProofKey } from "../sealed/psk.ts";
import { Activity } from "./activity.ts";
import { makeGatewayApp } from "./app.ts";
import type { GatewayContext } from "./context.ts";

const PSK_ID = `client.00112233445566ff.${"01".repeat(16)}`;
const PSK = new Uint8Array(32).fill(7);
const HID = new Uint8Array(16).fill(1);

/** Asks a gateway with management on to delete a model, as a paired client whose tunnel ends at this user on loopback. */
async function deleteThrough(remote: boolean): Promise<{ status: number; removed: string[] }> {
  const removed: string[] = [];
  const context = {
    config: loadConfig({ env: {} }),
    supervisor: {
      loaded: () => [],
      proven: () => {},
      proofKey: () => Promise.resolve({ hid: HID, key: deriveProofKey(deriveHostPsk(PSK, HID)) }),
    },
    models: { remove: (name: string) => Promise.resolve((removed.push(name), { name })) },
    logger: silentLogger,
    version: "0",
    keys: { backend: "memory", active: { kid: "0".repeat(16), createdMs: null }, warnings: [] },
    activity: new Activity(),
    remote,
    management: { isOwn: () => true, pull: () => Promise.reject(), maxBytes: 1 },
  } as unknown as GatewayContext;
  const body = new TextEncoder().encode(`{"model":"demo"}`);
  const request = { method: "DELETE", target: "/api/delete", body };
  const proof = makeProof(request, { psk: PSK, pskId: PSK_ID, hid: HID, now: Date.now() + 1_000 });
  const ends = { hostname: "127.0.0.1", port: 1 };
  const answer = await makeGatewayApp(context).fetch(
    new Request("http://gw.lan/api/delete", {
      method: "DELETE",
      headers: { [PROOF_HEADER]: proof },
      body,
    }),
    { peer: ends, local: ends },
  );
  await answer.body?.cancel();
  return { status: answer.status, removed };
}

Deno.test("management: a paired client behind a reverse proxy or tunnel of the host's user manages nothing", async () => {
  assert.deepEqual(await deleteThrough(false), { status: 200, removed: ["demo"] });
  assert.deepEqual(await deleteThrough(true), { status: 403, removed: [] });
});
