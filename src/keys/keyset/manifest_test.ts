import assert from "node:assert/strict";
import { utf8 } from "../../bytes.ts";
import { parseManifest } from "./manifest.ts";

const KID = "0123456789abcdef";
const TIME = "2026-01-01T00:00:00.000Z";

Deno.test("manifest: a key's dates and marks are those of its state", () => {
  const parse = (key: object) =>
    parseManifest(utf8(JSON.stringify({
      v: 1,
      gen: 1,
      backend: "file",
      profile: "default",
      active: "fedcba9876543210",
      pending: null,
      keys: {
        fedcba9876543210: { state: "active", created: TIME, retired: null, compromised: false },
        [KID]: key,
      },
      mac: "00".repeat(32),
    })));
  const retired = { state: "decrypt-only", created: TIME, retired: TIME, compromised: false };
  for (
    const good of [retired, { ...retired, compromised: true }, { ...retired, state: "destroyed" }]
  ) {
    assert.deepEqual(parse(good).manifest.keys[KID], good);
  }
  for (
    const bad of [
      { ...retired, retired: null },
      { ...retired, state: "destroyed", retired: null },
      { ...retired, state: "active" },
      { ...retired, state: "active", retired: null, compromised: true },
      { ...retired, state: "lost" },
    ]
  ) assert.throws(() => parse(bad), { code: "key-corrupt" }, JSON.stringify(bad));
});
