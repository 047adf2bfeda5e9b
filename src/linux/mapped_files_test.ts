import assert from "node:assert/strict";
import { joined, mappedFiles } from "./mapped_files.ts";
import { notOn } from "../../tests/support/systems.ts";

const MAPS = `55a0-55b0 r--p 00000000 fe:00 1441834                    /app/exe/deno
55b0-55c0 r-xp 00010000 fe:00 1441834                    /app/exe/deno
55c0-55d0 rw-p 00020000 fe:00 1441834                    /app/exe/deno
55d0-55e0 rw-p 00000000 00:00 0                          [heap]
7f00-7f10 r--s 00000000 fe:00 77                         /a name with spaces (deleted)
7f10-7f20 ---p 003a5000 fe:00 16048799                   /app/lib.so
7f20-7f30 rw-s 00000000 00:01 1024                       /dev/zero (deleted)
7f30-7f40 r-xp 00000000 00:00 0                          [vdso]
`;

Deno.test("mapped files are those with an inode", () => {
  assert.deepEqual(mappedFiles(MAPS), [
    { start: 0x55a0n, end: 0x55b0n, readable: true, writable: false, shared: false },
    { start: 0x55b0n, end: 0x55c0n, readable: true, writable: false, shared: false },
    { start: 0x55c0n, end: 0x55d0n, readable: true, writable: true, shared: false },
    { start: 0x7f00n, end: 0x7f10n, readable: true, writable: false, shared: true },
    { start: 0x7f10n, end: 0x7f20n, readable: false, writable: false, shared: false },
    { start: 0x7f20n, end: 0x7f30n, readable: true, writable: true, shared: true },
  ]);
  assert.deepEqual(mappedFiles(""), []);
  assert.throws(() => mappedFiles("nothing of the kind"), SyntaxError);
});

Deno.test({
  name: "this process's own maps can be read",
  ignore: notOn("linux"),
  fn() {
    const files = mappedFiles(Deno.readTextFileSync("/proc/self/maps"));
    assert.ok(files.length > 5);
    assert.ok(files.every(({ start, end }) => start < end));
  },
});

Deno.test("neighbours and overlaps become one range, gaps stay", () => {
  const range = (start: bigint, end: bigint) => ({ start, end });
  assert.deepEqual(
    joined([range(5n, 6n), range(1n, 3n), range(3n, 4n), range(10n, 20n), range(12n, 13n)]),
    [range(1n, 4n), range(5n, 6n), range(10n, 20n)],
  );
  assert.deepEqual(joined([]), []);
});
