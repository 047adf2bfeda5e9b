/** JPEG files whose pixels have data, and those that leave some of them to what lay in the decoder's memory. */
import assert from "node:assert/strict";
import { checkData } from "./check_media.ts";
import { faultOfJpeg } from "./jpeg_data.ts";

const EOI = [0xff, 0xd9];

function segment(marker: number, ...data: number[]): number[] {
  return [0xff, marker, (data.length + 2) >> 8, (data.length + 2) & 255, ...data];
}

/** A frame's head: 40 by 20 pixels, of components 1, 2 and so on. */
function frame(marker: number, samplings: readonly number[]): number[] {
  const each = samplings.flatMap((sampling, i) => [i + 1, sampling, 0]);
  return segment(marker, 8, 0, 20, 0, 40, samplings.length, ...each);
}

/** A scan of components, with packed data; `low`: the lowest frequency, `high`: how exact it was before. */
function scan(ids: readonly number[], data: readonly number[], low = 0, high = 0): number[] {
  return [
    ...segment(0xda, ids.length, ...ids.flatMap((id) => [id, 0]), low, 63, high << 4),
    ...data,
  ];
}

const interval = (units: number) => segment(0xdd, 0, units);
/** Packed data in so many parts. */
const parts = (count: number) =>
  Array.from({ length: count }, (_, i) => i === 0 ? [1, 0xff, 0] : [0xff, 0xd0 + (i - 1) % 8, 1])
    .flat();

const fileOf = (...all: readonly number[][]) => Uint8Array.from([0xff, 0xd8, ...all.flat()]);

Deno.test("a JPEG with data for each component, as its kind needs them", () => {
  const one = frame(0xc0, [0x11]);
  const three = frame(0xc0, [0x22, 0x11, 0x11]);
  const progressive = frame(0xc2, [0x22, 0x11, 0x11]);
  const good = [
    [one, scan([1], [1, 2])],
    [one, segment(0xc4, 0), [0xff], scan([1], [0xff, 0, 0xff, 0xff, 0])],
    [three, scan([1, 2, 3], [1])],
    [three, scan([1], [1]), scan([3], [1]), scan([2], [1])],
    [progressive, scan([1, 2, 3], [1], 0, 0), scan([1], [1], 1), scan([1, 2, 3], [1], 0, 1)],
    // 40 by 20: of one component 5 by 3 blocks; of three 3 by 2 units of 16 by 16.
    [one, interval(4), scan([1], parts(4))],
    [three, interval(4), scan([1, 2, 3], parts(2))],
    [three, interval(4), scan([1], parts(4)), scan([2, 3], parts(2))],
    [three, interval(4), scan([1, 2, 3], parts(2))],
    // Of a component with half of the pixels each way: 3 by 2 blocks.
    [three, interval(3), scan([1, 2], parts(2)), scan([3], parts(2))],
  ];
  for (const [i, file] of good.entries()) {
    assert.equal(faultOfJpeg(fileOf(...file, EOI)), undefined, `${i}`);
  }
});

Deno.test("a JPEG that lacks data for some of its pixels is refused: another's picture would be shown", async () => {
  const one = frame(0xc0, [0x11]);
  const three = frame(0xc0, [0x22, 0x11, 0x11]);
  const progressive = frame(0xc2, [0x22, 0x11, 0x11]);
  const bad = [
    [one],
    [frame(0xc2, [0x11])],
    [three, scan([1, 2], [1])],
    [progressive, scan([1, 2, 3], [1], 1)],
    [progressive, scan([1, 2, 3], [1], 0, 1)],
    [one, interval(4), scan([1], parts(3))],
    [three, interval(1), scan([1, 2, 3], parts(5))],
    [one, EOI, scan([1], [1])],
    [scan([1], [1]), one],
  ];
  for (const [i, file] of bad.entries()) {
    assert.equal(typeof faultOfJpeg(fileOf(...file, EOI)), "string", `${i}`);
    assert.equal(typeof faultOfJpeg(fileOf(...file)), "string", `${i}, cut`);
  }
  await assert.rejects(checkData(fileOf(one, segment(0xfe, ...Array(20).fill(1)), EOI)), {
    code: "bad-request",
    message: /lacks data/,
  });
});
