import assert from "node:assert/strict";
import { deflateRawSync, deflateSync } from "node:zlib";
import { faultOfPng } from "./png_data.ts";
import { png } from "./testing_pictures.ts";

/** At the lowest level it is packed quickly, and to more than is let through without a look. */
const BOMB = new Uint8Array(10 * 2 ** 20);
const QUICK = { level: 1 };

Deno.test("png: data that unpack to more than the size needs are refused, however they are packed", async () => {
  const zlib = deflateSync(BOMB, QUICK);
  assert.match(await faultOfPng(png(8, 8, zlib)) ?? "", /unpack to more/);
  // Several chunks are one stream.
  const at = zlib.length >> 1;
  const parts = [zlib.subarray(0, at), zlib.subarray(at)];
  assert.match(await faultOfPng(png(8, 8, ...parts)) ?? "", /unpack to more/);
  const raw = deflateRawSync(BOMB, QUICK);
  assert.match(await faultOfPng(png(8, 8, raw)) ?? "", /broken/);
  assert.match(await faultOfPng(png(8, 8, ["CgBI", raw])) ?? "", /unpack to more/);
  // The head allows distances of 256 bytes only: a lenient decoder reads on.
  const noise = crypto.getRandomValues(new Uint8Array(1024));
  const far = deflateSync(Uint8Array.from({ length: 2 ** 18 }, (_, i) => noise[i % 1024]!));
  far.set([0x08, 0x1d]);
  assert.match(await faultOfPng(png(8, 8, far, new Uint8Array(2 ** 16))) ?? "", /broken|more/);
});

Deno.test("png: a picture of many pixels is taken, also one that packs well", async () => {
  const [width, height] = [200, 160];
  const plain = new Uint8Array(height * (1 + 3 * width));
  assert.equal(await faultOfPng(png(width, height, deflateSync(plain))), undefined);
  for (let row = 0; row < height; row++) {
    crypto.getRandomValues(plain.subarray(row * (1 + 3 * width) + 1, (row + 1) * (1 + 3 * width)));
  }
  assert.equal(await faultOfPng(png(width, height, deflateSync(plain))), undefined);
});
