/**
 * Recovers `denort`, the runtime that `deno compile` puts a program on, where only an npm registry can be reached. For tests
 * only: such a build calls itself `+testbase`.
 *
 *     deno run -A scripts/denort.ts OUT
 *
 * The npm package named below is a program that Deno 2.9.4 compiled. The injector appended two sections and new program
 * headers and left the old ones in place; cutting the file at the end of its old section headers and restoring five fields of the
 * ELF header (elf(5)) gives the runtime back, byte for byte, which the digest shows.
 */
import { createHash } from "node:crypto";

const PACKAGE = "@chelonia/cli-x64-linux@3.4.0";
const TARBALL_SHA256 = "c00f92f71095b897a44ed2f52b883c678b2c386a59db633a4c4d017dff8ea628";
export const DENORT_SHA256 = "723d45cca4f68bd66652da1e0d45562b0700317c1535981035f50f078785a131";
const DENORT_BYTES = 107_594_120;

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function run(program: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout } = await new Deno.Command(program, {
    args,
    cwd,
    stdout: "piped",
    stderr: "null",
  }).output();
  if (!success) throw new Error(`${program} ${args[0]} failed`);
  return new TextDecoder().decode(stdout);
}

/** The compiled program's old headers, restored. @throws {Error} If the result is not the known runtime. */
export function recover(program: Uint8Array): Uint8Array {
  const old = program.slice();
  const view = new DataView(old.buffer);
  // The old program headers follow the ELF header at 64; the count is found by the size of the header that describes them.
  const PHDR_BYTES = 56;
  const SHDR_BYTES = 64;
  const phSize = Number(view.getBigUint64(64 + 32, true)); // p_filesz of PT_PHDR, the first
  const phnum = phSize / PHDR_BYTES;
  for (let at = DENORT_BYTES - 256 * SHDR_BYTES; at < DENORT_BYTES; at += 8) {
    const shnum = (DENORT_BYTES - at) / SHDR_BYTES;
    if (!Number.isInteger(shnum) || old.subarray(at, at + SHDR_BYTES).some((b) => b !== 0)) {
      continue; // section 0 is null
    }
    const shoff = at;
    for (let shstrndx = 1; shstrndx < shnum; shstrndx++) {
      const offset = Number(view.getBigUint64(shoff + shstrndx * SHDR_BYTES + 24, true));
      const size = Number(view.getBigUint64(shoff + shstrndx * SHDR_BYTES + 32, true));
      const type = view.getUint32(shoff + shstrndx * SHDR_BYTES + 4, true);
      if (type !== 3 || offset + size > shoff || shoff - (offset + size) >= 8) continue;
      view.setBigUint64(32, 64n, true); // e_phoff
      view.setBigUint64(40, BigInt(shoff), true); // e_shoff
      view.setUint16(56, phnum, true);
      view.setUint16(60, shnum, true);
      view.setUint16(62, shstrndx, true);
      const out = old.subarray(0, DENORT_BYTES);
      if (sha256(out) === DENORT_SHA256) return out;
    }
  }
  throw new Error("the package does not hold the known runtime");
}

if (import.meta.main) {
  const out = Deno.args[0];
  if (!out) {
    console.error("usage: denort.ts OUT");
    Deno.exit(2);
  }
  const folder = await Deno.makeTempDir();
  try {
    const name = (await run("npm", ["pack", "--silent", PACKAGE], folder)).trim().split("\n").at(
      -1,
    )!;
    const tarball = await Deno.readFile(`${folder}/${name}`);
    if (sha256(tarball) !== TARBALL_SHA256) {
      throw new Error(`${PACKAGE} is not the one that is known`);
    }
    await run("tar", ["-xzf", name, "package/chel"], folder);
    await Deno.writeFile(out, recover(await Deno.readFile(`${folder}/package/chel`)), {
      mode: 0o755,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
