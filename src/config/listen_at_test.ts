import assert from "node:assert/strict";
import { listenAt, listenText, socketMode } from "./listen_at.ts";

Deno.test("listen: addresses and sockets, read and written; loopback and names are none", () => {
  for (
    const [text, written] of [
      ["0.0.0.0", "0.0.0.0:11434"],
      ["192.168.1.5:8443", "192.168.1.5:8443"],
      ["[::]:80", "[::]:80"],
      ["2001:db8::5", "[2001:db8::5]:11434"],
      ["unix:/run/a.sock", "unix:/run/a.sock"],
    ] as const
  ) {
    const at = listenAt(text, "--listen")!;
    assert.equal(listenText(at), written);
    assert.deepEqual(listenAt(written, "--listen"), at);
  }
  assert.equal(listenAt("", "--listen"), null);
  for (
    const text of [
      "127.0.0.1:1",
      "[::1]",
      "localhost",
      "example.com",
      "0.0.0.0:99999",
      "unix:a.sock",
      "unix:/",
      `unix:/${"a".repeat(107)}`,
      ":80",
      "http://0.0.0.0",
    ]
  ) assert.throws(() => listenAt(text, "--listen"), { code: "bad-config" }, text);
});

Deno.test("listen: a socket's mode lets owner and group in, and nobody else", () => {
  assert.deepEqual(["600", "0660", "620"].map((text) => socketMode(text, "m")), [
    0o600,
    0o660,
    0o620,
  ]);
  for (const text of ["666", "604", "460", "1660", "rw", ""]) {
    assert.throws(() => socketMode(text, "m"), { code: "bad-config" }, text);
  }
});
