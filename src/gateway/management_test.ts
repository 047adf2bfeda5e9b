import assert from "node:assert/strict";
import { PROOF_HEADER } from "../sealed/proof.ts";
import { makeGatewayApp } from "./app.ts";
import { contextOf, proofOf } from "./testing.ts";

/** Asks a gateway with management on to delete a model, as a paired client whose tunnel ends at this user on loopback. */
async function deleteThrough(remote: boolean): Promise<{ status: number; removed: string[] }> {
  const removed: string[] = [];
  const context = contextOf({
    models: { remove: (name: string) => Promise.resolve((removed.push(name), { name })) },
    remote,
    management: { isOwn: () => true, pull: () => Promise.reject(), maxBytes: 1 },
  });
  const body = new TextEncoder().encode(`{"model":"demo"}`);
  const request = { method: "DELETE", target: "/api/delete", body };
  const ends = { hostname: "127.0.0.1", port: 1 };
  const answer = await makeGatewayApp(context).fetch(
    new Request("http://gw.lan/api/delete", {
      method: "DELETE",
      headers: { [PROOF_HEADER]: proofOf(request) },
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
