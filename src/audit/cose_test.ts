/** CBOR against RFC 8949's own examples, COSE against RFC 9052's, and what must not be read. */
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { type Bytes, fromHex, toBase64Url, toHex, utf8 } from "../bytes.ts";
import { type Cbor, decodeCbor, encodeCbor, Tagged } from "./cbor.ts";
import { PublicKey, readCose, signCose, SigningKey, sigStructure } from "./cose.ts";

/** RFC 8949, appendix A: those of its examples that are of the kinds that are written here. */
const EXAMPLES: readonly (readonly [Cbor, string])[] = [
  [0, "00"],
  [1, "01"],
  [10, "0a"],
  [23, "17"],
  [24, "1818"],
  [25, "1819"],
  [100, "1864"],
  [1000, "1903e8"],
  [1000000, "1a000f4240"],
  [1000000000000, "1b000000e8d4a51000"],
  [-1, "20"],
  [-10, "29"],
  [-100, "3863"],
  [-1000, "3903e7"],
  [false, "f4"],
  [true, "f5"],
  [null, "f6"],
  [new Uint8Array(0), "40"],
  [Uint8Array.of(1, 2, 3, 4), "4401020304"],
  ["", "60"],
  ["a", "6161"],
  ["IETF", "6449455446"],
  ['"\\', "62225c"],
  ["\u00fc", "62c3bc"],
  ["\u6c34", "63e6b0b4"],
  ["\ud800\udd51", "64f0908591"],
  [[], "80"],
  [[1, 2, 3], "83010203"],
  [[1, [2, 3], [4, 5]], "8301820203820405"],
  [
    Array.from({ length: 25 }, (_, i) => i + 1),
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
  ],
  [new Map(), "a0"],
  [new Map([[1, 2], [3, 4]]), "a201020304"],
  [new Map<string, Cbor>([["a", 1], ["b", [2, 3]]]), "a26161016162820203"],
  [new Tagged(32, "http://www.example.com"), "d82076687474703a2f2f7777772e6578616d706c652e636f6d"],
  [new Tagged(23, fromHex("01020304")), "d74401020304"],
];

Deno.test("cbor: RFC 8949's examples, both ways", () => {
  for (const [value, hex] of EXAMPLES) {
    assert.equal(toHex(encodeCbor(value)), hex);
    assert.deepEqual(decodeCbor(fromHex(hex)), value, hex);
  }
});

Deno.test("cbor: what is not the one encoding of a value is not read", () => {
  const bad = [
    "",
    "18",
    "1817",
    "190017",
    "1a00000017",
    "1b0000000000000017",
    "1bffffffffffffffff",
    "3bffffffffffffffff",
    "f93c00",
    "fa47c35000",
    "fb3ff199999999999a",
    "f7",
    "f0",
    "f8ff",
    "5f42010243030405ff",
    "7f657374726561646d696e67ff",
    "9fff",
    "bf61610161629f0203ffff",
    "1c",
    "4401020",
    "62c3",
    "61ff",
    "8301",
    "a201020102",
    "a203040102",
    "a1f601",
    "0000",
    "d8",
    "81".repeat(20) + "00",
    "5affffffff00",
    "9affffffff00",
  ].map((hex) => hex.length % 2 === 0 ? hex : hex + "0");
  for (const hex of bad) assert.throws(() => decodeCbor(fromHex(hex)), SyntaxError, hex);
  for (const value of [1.5, NaN, 2 ** 60, undefined, {}] as Cbor[]) {
    assert.throws(() => encodeCbor(value), TypeError);
  }
});

Deno.test("cbor: bytes at random are read as they are written, or not at all", () => {
  let read = 0;
  const next = seeded(SEED);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: 1 + i % 12 }, () => Math.floor(next() * 256));
    let value: Cbor;
    try {
      value = decodeCbor(bytes);
    } catch (error) {
      assert.ok(error instanceof SyntaxError);
      continue;
    }
    read++;
    assert.equal(toHex(encodeCbor(value)), toHex(bytes));
  }
  assert.ok(read > 100, `${read} were read`);
});

Deno.test("cose: RFC 9052's example of one signer, its signature over our Sig_structure", () => {
  // Appendix C.2.1, and the key "11" of appendix C.7.1.
  const message = decodeCbor(fromHex(
    "d28443a10126a10442313154546869732069732074686520636f6e74656e742e58408eb33e4ca31d1c465ab05aac34" +
      "cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5" +
      "a4c345cacb36",
  )) as Tagged;
  const [header, open, body, signature] = message.value as [
    Bytes,
    Map<number, Bytes>,
    Bytes,
    Bytes,
  ];
  assert.equal(message.tag, 18);
  assert.equal(new TextDecoder().decode(open.get(4)), "11");
  const [x, y] = [
    "bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff",
    "20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e",
  ].map((hex) => toBase64Url(fromHex(hex)));
  const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x: x!, y: y! }, format: "jwk" });
  const over = (payload: Bytes) =>
    verify("sha256", sigStructure(header, payload), { key, dsaEncoding: "ieee-p1363" }, signature);
  assert.equal(over(body), true);
  assert.equal(over(utf8("This is the content!")), false);
});

Deno.test("cose: RFC 8032's first key; every changed byte is noticed", () => {
  const key = new SigningKey(
    fromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
  );
  assert.equal(
    toHex(key.publicKey.raw),
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  );
  const signed = signCose(key, "text/plain", "hello");
  const statement = readCose(signed);
  assert.equal(statement.payload, "hello");
  assert.equal(statement.contentType, "text/plain");
  assert.equal(statement.kid, key.publicKey.id);
  assert.equal(statement.verify(key.publicKey), true);
  assert.equal(statement.verify(new SigningKey(new Uint8Array(32)).publicKey), false);
  for (let i = 0; i < signed.length; i++) {
    for (const bit of [1, 16, 128]) {
      const changed = signed.slice();
      changed[i]! ^= bit;
      let good = false;
      try {
        good = readCose(changed).verify(key.publicKey);
      } catch (error) {
        assert.ok(error instanceof SyntaxError, `byte ${i}`);
      }
      assert.equal(good, false, `byte ${i}`);
    }
  }
  assert.deepEqual(PublicKey.fromSpki(key.publicKey.spki()).raw, key.publicKey.raw);
  assert.throws(() => PublicKey.fromSpki(new Uint8Array(44)), RangeError);
});

Deno.test("cose: another algorithm, an open header, a statement without its text are not read", () => {
  const key = new SigningKey(new Uint8Array(32).fill(9));
  const kid = fromHex(key.publicKey.id);
  const body = encodeCbor("hello");
  const made = (headers: [number, Cbor][], open = new Map<number, Cbor>(), tag = 18) => {
    const header = encodeCbor(new Map(headers));
    const signature = key.sign(sigStructure(header, body));
    return encodeCbor(new Tagged(tag, [header, open, body, signature]));
  };
  const good: [number, Cbor][] = [[1, -8], [3, "text/plain"], [4, kid]];
  assert.equal(readCose(made(good)).verify(key.publicKey), true);
  for (
    const bad of [
      made([[1, -7], [3, "text/plain"], [4, kid]]),
      made([[1, 0], [3, "text/plain"], [4, kid]]),
      made([[3, "text/plain"], [4, kid]]),
      made([...good, [2, [99]], [99, true]]),
      made(good, new Map([[4, kid]])),
      made(good, new Map(), 98),
      encodeCbor(new Tagged(18, [encodeCbor(new Map(good)), new Map(), null, new Uint8Array(64)])),
    ]
  ) assert.throws(() => readCose(bad), SyntaxError);
});
