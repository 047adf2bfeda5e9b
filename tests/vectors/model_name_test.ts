/**
 * One canonical name (tests/vectors/model_name.json): what the store looks up, what a key document authenticates and what a
 * runner compares are the same for every spelling.
 */
import assert from "node:assert/strict";
import { isSameModel, parseModelName, tryParseModelName } from "../../src/api/model_name.ts";
import { manifestPath, nameOfManifestPath } from "../../src/models/names.ts";
import { announcementMac, attest } from "../../src/sealed/key_document.ts";
import { toHex } from "../../src/bytes.ts";
import vectors from "./model_name.json" with { type: "json" };

const [BYTES_16, BYTES_32] = [new Uint8Array(16), new Uint8Array(32)];
const RUNNER = { hid: BYTES_16, rn: BYTES_32, gen: 1 };
const ANNOUNCED = { suite: 1, ...RUNNER, pk: BYTES_32, nbf: 0, exp: 1, now: 0 };

/** What host and runner say of a name in a key document: two names with the same are one to the client. */
function authenticated(model: string): string {
  const asked = { model, challenge: BYTES_16 };
  const word = attest(BYTES_32, { ...RUNNER, ...asked });
  const mac = announcementMac(ANNOUNCED, { runnerPsk: BYTES_32, attest: BYTES_32, ...asked });
  return `${toHex(word)} ${toHex(mac)}`;
}

Deno.test("model names: each vector, in the grammar, in the store and under the mac", () => {
  for (const { name, canonical } of vectors.names) {
    const at = JSON.stringify(name);
    const parsed = tryParseModelName(name);
    assert.equal(parsed?.canonical ?? null, canonical, at);
    if (canonical === null) {
      assert.throws(() => parseModelName(name), { code: "bad-model-name" }, at);
      assert.throws(() => authenticated(name), { code: "bad-model-name" }, at);
      continue;
    }
    // It means itself, and its path leads back to it.
    assert.equal(parseModelName(canonical).canonical, canonical, at);
    for (const os of ["linux", "windows"] as const) {
      assert.equal(nameOfManifestPath(manifestPath(parsed!, os), os)?.canonical, canonical, at);
    }
    assert.equal(authenticated(name), authenticated(canonical), at);
  }
});

Deno.test("model names: two are one to all, or to none", () => {
  const names = vectors.names.filter((row) => row.canonical !== null);
  for (const a of names) {
    for (const b of names) {
      const same = a.canonical === b.canonical;
      const at = `${a.name} and ${b.name}`;
      assert.equal(isSameModel(a.name, b.name), same, at);
      assert.equal(authenticated(a.name) === authenticated(b.name), same, at);
    }
  }
  for (const { name, canonical } of vectors.names) {
    if (canonical === null) assert.equal(isSameModel(name, name), false, JSON.stringify(name));
  }
});
