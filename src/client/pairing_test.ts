import assert from "node:assert/strict";
import { toBase64Url, utf8 } from "../bytes.ts";
import { encodePairing, parsePairing, pemOfDer } from "./pairing.ts";

const PSK = Uint8Array.from({ length: 32 }, (_, i) => i);
const ID = "client.00112233445566ff.0102030405060708090a0b0c0d0e0f10";
const HID = new Uint8Array(16).fill(9);
const plain = { url: "https://host.example:11435/", pskId: ID, psk: PSK, hid: HID };
const full = { ...plain, certificate: pemOfDer(new Uint8Array(380).fill(7)) };

Deno.test("pairing: what is written is read, with and without a certificate, however it was broken into lines", () => {
  const previous = { pskId: ID, psk: PSK.toReversed() };
  const pairings = [plain, full, { ...plain, url: "http://127.0.0.1:1/" }, { ...full, previous }];
  for (const pairing of pairings) {
    const text = encodePairing(pairing);
    assert.match(text, /^secllama-pair-1\.[A-Za-z0-9_-]+\.[0-9a-f]{8}$/);
    assert.deepEqual(parsePairing(text), pairing);
    assert.deepEqual(parsePairing(`  ${text.match(/.{1,40}/g)!.join("\r\n  ")}\n`), pairing);
  }
});

Deno.test("pairing: every single changed, lost or doubled character is noticed, and never repeated", () => {
  const text = encodePairing(full);
  for (let at = 0; at < text.length; at++) {
    const other = text[at] === "x" ? "y" : "x";
    for (
      const wrong of [
        text.slice(0, at) + other + text.slice(at + 1),
        text.slice(0, at) + text.slice(at + 1),
        text.slice(0, at),
        text.slice(0, at) + text[at] + text.slice(at),
      ]
    ) {
      assert.throws(() => parsePairing(wrong), (error: Error & { code?: string }) => {
        assert.equal(error.code, "bad-pairing");
        assert.ok(!error.message.includes(toBase64Url(PSK)));
        return true;
      });
    }
  }
});

Deno.test("pairing: the CRC-32 is the usual one, and fields that make no sense are refused by name", () => {
  const line = (value: unknown) => {
    const json = utf8(typeof value === "string" ? value : JSON.stringify(value));
    return `secllama-pair-1.${toBase64Url(json)}.${crc(json)}`;
  };
  // The check value of CRC-32/ISO-HDLC.
  assert.equal(crc(utf8("123456789")), "cbf43926");
  const good = { url: plain.url, psk_id: ID, psk: toBase64Url(PSK), hid: toBase64Url(HID) };
  assert.deepEqual(parsePairing(line(good)), plain);
  assert.deepEqual(parsePairing(line({ ...good, later: 1 })), plain);
  const wrong: [unknown, RegExp][] = [
    ["null", /psk_id/],
    ["{", /JSON/],
    [{ ...good, psk_id: "../x" }, /psk_id/],
    [{ ...good, psk: "AAAA" }, /psk/],
    [{ ...good, psk: 5 }, /psk/],
    [{ ...good, hid: undefined }, /hid/],
    [{ ...good, hid: toBase64Url(PSK) }, /hid/],
    [{ ...good, previous: null }, /psk_id/],
    [{ ...good, previous: { psk_id: ID, psk: "AAAA" } }, /psk/],
    [{ ...good, cert: "?" }, /cert/],
    [{ ...good, url: "http://10.0.0.1/" }, /loopback/],
    [{ ...good, url: "https://u:p@host/" }, /https URL/],
    [{ ...good, url: "https://host/?x=1" }, /https URL/],
    [{ ...good, url: "file:///etc/passwd" }, /https URL/],
  ];
  for (const [value, message] of wrong) {
    assert.throws(() => parsePairing(line(value)), { code: "bad-pairing", message });
  }
  assert.throws(() => parsePairing(line(good).replace("pair-1", "pair-2")), /version/);
  assert.throws(() => parsePairing(""), /empty/);
  assert.throws(() => parsePairing("hello"), /starts with/);
  assert.throws(() => encodePairing({ ...plain, psk: new Uint8Array(31) }), /psk/);
  assert.throws(() => encodePairing({ ...plain, url: "http://lawyers.example/" }), /loopback/);
});

/** CRC-32 by the table method, so that the test does not repeat the code under test. */
function crc(bytes: Uint8Array): string {
  const table = Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1;
    return n >>> 0;
  });
  let value = 0xffffffff;
  for (const byte of bytes) value = table[(value ^ byte) & 0xff]! ^ value >>> 8;
  return ((value ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

Deno.test("pairing: is found in a mail, quoted, wrapped and signed; what is glued to it is a mistake", () => {
  const text = encodePairing(full);
  const lines = text.match(/.{1,60}/g)!;
  for (
    const mail of [
      `Hi Bela,\n\nhere it is:\n\n${lines.join("\n")}\n\n-- \nAmelie`,
      `> ${lines.join("\n> ")}\n> deadbeef`,
      `"${lines.join("=\r\n")}".\nrm -rf x\n`,
      lines.join("\u00a0\n\u200b "),
      `${text}. See you!`,
      `\u201c${[...text].join("\u200b")}\u201d`,
      `\ufeff${lines.join("\u00ad\r\n\u2060")}\u200b\n`,
    ]
  ) {
    assert.deepEqual(parsePairing(mail), full, JSON.stringify(mail.slice(0, 20)));
  }
  for (const glued of [`${text}0`, `${text}ab cd`, `x${text}`, `${text}.00`]) {
    assert.throws(() => parsePairing(glued), { code: "bad-pairing" });
  }
});
