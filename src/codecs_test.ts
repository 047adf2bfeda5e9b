/** The portable codecs say what the native ones say. */
import assert from "node:assert/strict";
import * as native from "./codecs.ts";
import * as portable from "../scripts/client/platforms/codecs_portable.ts";

Deno.test("codecs: portable and native agree on every length and byte", () => {
  for (let length = 0; length <= 300; length++) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    if (length === 256) bytes.forEach((_, i) => bytes[i] = i);
    assert.equal(portable.toHex(bytes), native.toHex(bytes));
    assert.equal(portable.toBase64(bytes), native.toBase64(bytes));
    assert.deepEqual(portable.fromHex(native.toHex(bytes).toUpperCase()), bytes);
    assert.deepEqual(portable.fromBase64(native.toBase64(bytes)), bytes);
  }
});

Deno.test("codecs: both refuse the same", () => {
  for (const text of ["0", "0g", "zz", "0x", " 00", "é0"]) {
    for (const { fromHex } of [native, portable]) assert.throws(() => fromHex(text), SyntaxError);
  }
  for (const text of ["A", "AA=A", "*AAA", "AAA=A", "é"]) {
    for (const { fromBase64 } of [native, portable]) {
      assert.throws(() => fromBase64(text), SyntaxError, text);
    }
  }
});
