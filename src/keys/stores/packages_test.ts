import assert from "node:assert/strict";
import { lasting, missingPackages, storeHint } from "./packages.ts";

Deno.test("packages that a key store needs are named together, and only those that are missing", () => {
  assert.deepEqual(missingPackages(() => false), [
    "dbus-daemon",
    "libglib2.0-bin",
    "libsecret-tools",
    "gnome-keyring",
  ]);
  const desktop = new Set(["/usr/bin/dbus-broker", "/usr/bin/gdbus", "/usr/bin/kwalletd6"]);
  assert.deepEqual(missingPackages((path) => desktop.has(path)), ["libsecret-tools"]);
  for (const there of [true, false]) {
    const hint = storeHint("do this", () => there);
    assert.match(hint, /--ephemeral.*--key-file FILE/);
    assert.equal(/^do this, or/.test(hint), there);
    assert.equal(/^install dbus-daemon libglib2/.test(hint), !there);
  }
});

Deno.test("keys: what needs a key that lasts is told of none in memory", () => {
  for (const isThere of [true, false]) {
    const hint = storeHint("unlock it", () => isThere);
    assert.match(hint, /--ephemeral/);
    assert.doesNotMatch(lasting(hint), /ephemeral|memory/);
    assert.match(lasting(hint), /\(secllama help keys\): --key-file FILE/);
  }
});
