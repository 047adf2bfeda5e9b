import assert from "node:assert/strict";
import { hkdfSync } from "node:crypto";
import { fromHex, utf8 } from "../../bytes.ts";
import { decodeKey, decodeKeyOf, encodeKey, kidOf, newKey } from "./kid.ts";

const key = fromHex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

Deno.test("kid: the first 8 bytes of HKDF under its own label", async () => {
  const expected = new Uint8Array(hkdfSync("sha256", key, new Uint8Array(0), "secllama/kid/v1", 8));
  assert.equal(await kidOf(key), expected.toHex());
});

Deno.test("kid: the stored form is sl1: and base64, and comes back", () => {
  for (const k of [key, new Uint8Array(32), new Uint8Array(32).fill(255), newKey()]) {
    const value = encodeKey(k);
    assert.equal(new TextDecoder().decode(value), "sl1:" + k.toBase64());
    assert.deepEqual(decodeKey(value, "x"), k);
  }
  const value = new TextDecoder().decode(encodeKey(key));
  assert.deepEqual(decodeKey(utf8(value + "\n"), "x"), key);
  assert.deepEqual(decodeKey(utf8(value + "\r\n"), "x"), key);
});

Deno.test("kid: what is no stored key is refused, and the value is not in the message", () => {
  const good = "sl1:" + key.toBase64();
  const bad: [string, RegExp][] = [
    ["", /holds 0 bytes, want 48/],
    [good.slice(0, -1), /holds 47 bytes/],
    [good + "\n\n", /holds 49 bytes/],
    [good + " ", /holds 49 bytes/],
    ["sl2:" + good.slice(4), /does not start with "sl1:"/],
    ["SL1:" + good.slice(4), /does not start with "sl1:"/],
    [good.replace("A", "-"), /not base64/],
    [good.replace("A", "\n"), /not base64/],
    [good.slice(0, -1) + "A", /not base64/],
    [good.slice(0, -2) + "9=", /not base64/],
    ["sl1:" + "=".repeat(44), /not base64/],
  ];
  for (const [text, message] of bad) {
    assert.throws(() => decodeKey(utf8(text), "it"), (error: Error & { code?: string }) => {
      assert.equal(error.code, "key-corrupt");
      assert.match(error.message, message);
      assert.ok(text === "" || !error.message.includes(text.slice(4, 20)));
      return true;
    }, JSON.stringify(text));
  }
});

Deno.test("kid: a swapped item is noticed", async () => {
  await assert.rejects(
    decodeKeyOf("0000000000000000", encodeKey(key)),
    { code: "key-corrupt", message: /holds another key \([0-9a-f]{16}\)/ },
  );
  assert.deepEqual(await decodeKeyOf(await kidOf(key), encodeKey(key)), key);
});
