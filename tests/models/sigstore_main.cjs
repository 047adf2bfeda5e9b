// Sigstore's verifier, as sigstore_test.ts asks it: under Node, for Deno has no default hash for a signature by a bare key.
const { createPublicKey } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { bundleFromJSON } = require("@sigstore/bundle");
const { toSignedEntity, Verifier } = require("@sigstore/verify");

const { bundle, publicKey, hint } = JSON.parse(readFileSync(0, "utf8"));
const trust = {
  certificateAuthorities: [],
  timestampAuthorities: [],
  tlogs: [],
  ctlogs: [],
  publicKey(asked) {
    if (asked !== hint) throw new Error(`another hint: ${asked}`);
    return { publicKey: createPublicKey(publicKey), validFor: () => true };
  },
};
// Nothing is asked of a log or a clock: such signatures have none.
const verifier = new Verifier(trust, {
  ctlogThreshold: 0,
  tlogThreshold: 0,
  timestampThreshold: 0,
});
verifier.verify(toSignedEntity(bundleFromJSON(bundle)));
console.log("verified");
