import assert from "node:assert/strict";
import { concat, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import {
  encodeRequestHeader,
  KNOWN_SUITES,
  MAX_HEADER_BYTES,
  parseRequestHeader,
} from "./header.ts";
import { SUITE_IDS, suiteById } from "./suite.ts";

const RK = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const code = (codes: string) => (error: unknown) =>
  error instanceof SecLlamaError && error.code === codes;

Deno.test("a header parses at its last byte and not before", () => {
  const header = encodeRequestHeader({ suite: 1, rk: RK, pskId: "local.ab" });
  for (let n = 0; n < header.length; n++) {
    assert.equal(parseRequestHeader(header.subarray(0, n)), "need-more", `at ${n}`);
  }
  const wanted = { suite: 1, rk: "0102030405060708", pskId: "local.ab", length: header.length };
  assert.deepEqual(parseRequestHeader(header), wanted);
  assert.deepEqual(parseRequestHeader(concat(header, new Uint8Array(100))), wanted);
});

Deno.test("the layout is the one drawn, byte for byte", () => {
  assert.equal(
    encodeRequestHeader({ suite: 2, rk: RK, pskId: "a" }).toHex(),
    "534c5131" + "02" + "00" + "0102030405060708" + "01" + "61",
  );
});

Deno.test("what cannot become a header is refused at its first wrong byte", () => {
  for (const text of ["P", "SLR", "SLQ2", "POST / HTTP/1.1"]) {
    assert.throws(() => parseRequestHeader(utf8(text)), code("malformed"), text);
  }
  const header = encodeRequestHeader({ suite: 1, rk: RK, pskId: "local.ab" });
  const flags = header.slice();
  flags[5] = 1;
  assert.throws(() => parseRequestHeader(flags), code("malformed"));
  const empty = header.slice(0, 15);
  empty[14] = 0;
  assert.throws(() => parseRequestHeader(empty), code("malformed"));
  for (const byte of [0, 10, 13, 32, 47, 127, 128, 255]) {
    const bad = header.slice();
    bad[17] = byte;
    assert.throws(() => parseRequestHeader(bad), code("malformed"), `psk_id byte ${byte}`);
  }
});

Deno.test("unknown suites are refused, and every known one has a row", () => {
  const header = encodeRequestHeader({ suite: 1, rk: RK, pskId: "local.ab" });
  for (let suite = 0; suite < 256; suite++) {
    header[4] = suite;
    if (KNOWN_SUITES.includes(suite)) assert.notEqual(parseRequestHeader(header), "need-more");
    else assert.throws(() => parseRequestHeader(header), code("unsupported-suite"));
  }
  assert.deepEqual(KNOWN_SUITES, SUITE_IDS);
  assert.throws(() => suiteById(3), code("unsupported-suite"));
  assert.deepEqual(SUITE_IDS.map((id) => suiteById(id).encBytes), [32, 1120]);
  assert.deepEqual(SUITE_IDS.map((id) => suiteById(id).hpke.kem.id), [0x0020, 0x647a]);
});

Deno.test("the longest psk_id fits, a longer one is a caller's mistake", () => {
  const header = encodeRequestHeader({ suite: 1, rk: RK, pskId: "a".repeat(255) });
  assert.equal(header.length, MAX_HEADER_BYTES);
  assert.notEqual(parseRequestHeader(header), "need-more");
  for (const pskId of ["", "a".repeat(256), "é", "a b", ".a"]) {
    assert.throws(() => encodeRequestHeader({ suite: 1, rk: RK, pskId }), RangeError);
  }
  assert.throws(() => encodeRequestHeader({ suite: 1, rk: RK.slice(1), pskId: "a" }), RangeError);
});
