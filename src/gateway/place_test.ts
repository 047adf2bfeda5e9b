import assert from "node:assert/strict";
import { silence } from "./place.ts";
import { Nonces } from "./nonces.ts";
import { PROOF_NONCES, ProofGate } from "./proof.ts";
import { makeProof } from "../sealed/proof.ts";
import { randomBytes } from "../sealed/primitives.ts";

const CLIENT = "client.00112233445566ff.0102030405060708090a0b0c0d0e0f10";
const LOCAL = "local.00112233445566ff";

Deno.test("fleet: a host whose time is over sends clients elsewhere, and nobody else", async () => {
  assert.equal(silence({ member: undefined }, CLIENT)?.code, "fleet-silent");
  // Its own programs, a host of a fleet that is heard, and one that is of no fleet.
  assert.equal(silence({ member: undefined }, LOCAL), undefined);
  assert.equal(silence({ member: "AA" }, CLIENT), undefined);
  assert.equal(silence(undefined, CLIENT), undefined);
  const request = { method: "GET", target: "/api/tags", body: new Uint8Array(0) };
  const asking = (pskId: string) =>
    makeProof(request, { psk: randomBytes(32), pskId, hid: randomBytes(16), now: Date.now() });
  for (const member of [undefined, "AA"]) {
    const gate = new ProofGate({
      nonces: new Nonces(PROOF_NONCES),
      proofKey: () => Promise.resolve(undefined),
      silence: (id) => silence({ member }, id),
    });
    const code = member === undefined ? "fleet-silent" : "auth";
    await assert.rejects(gate.check(asking(CLIENT), request), { code });
    await assert.rejects(gate.check(asking(LOCAL), request), { code: "auth" });
    await assert.rejects(gate.check(null, request), { code: "auth" });
    await assert.rejects(gate.check("anything", request), { code: "auth" });
  }
});
