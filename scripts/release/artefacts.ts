/** What a release consists of: one row for each executable. Everything that names one (formula, manifests, sums) is made from it. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { BuildFacts, PartList } from "../../src/bundle/part_list.ts";
import type { Target } from "../compile_targets.ts";

export interface Artefact {
  readonly target: Target;
  readonly file: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** All that belongs to one release. */
export interface Release {
  readonly version: string;
  /** Where its files lie, without a slash at the end. */
  readonly url: string;
  /** minisign's public key, the second line of its file. */
  readonly publicKey: string;
  readonly artefacts: readonly Artefact[];
}

/** `secllama-0.1.0-linux-x86_64`. install.sh makes the same name. */
export function artefactName(version: string, target: Target): string {
  return `secllama-${version}-${target.platform}${target.npm.os === "win32" ? ".exe" : ""}`;
}

/** @throws {Error} If the release has none for this platform. */
export function artefactFor(release: Release, platform: string): Artefact & { url: string } {
  const found = release.artefacts.find((a) => a.target.platform === platform);
  if (!found) throw new Error(`the release has no executable for ${platform}`);
  return { ...found, url: `${release.url}/${found.file}` };
}

export function hasArtefact(release: Release, platform: string): boolean {
  return release.artefacts.some((a) => a.target.platform === platform);
}

const LIST_START = new TextEncoder().encode('{"schema":1,"build":{"version":');

/**
 * The list of parts as it lies inside an executable, which may be another system's.
 * @throws {Error} If there is not exactly one.
 */
export function partListInside(program: Uint8Array): PartList {
  const bytes = Buffer.from(program.buffer, program.byteOffset, program.byteLength);
  const at = bytes.indexOf(LIST_START);
  if (at < 0 || bytes.indexOf(LIST_START, at + 1) >= 0) {
    throw new Error("the executable does not hold exactly one list of parts");
  }
  return JSON.parse(firstObject(bytes, at)) as PartList;
}

/** The text of the JSON object that begins at `at`. */
function firstObject(bytes: Buffer, at: number): string {
  let depth = 0;
  let quoted = false;
  for (let i = at; i < bytes.length; i++) {
    const c = bytes[i]!;
    if (quoted) {
      if (c === 0x5c) i++;
      else if (c === 0x22) quoted = false;
    } else if (c === 0x22) quoted = true;
    else if (c === 0x7b) depth++;
    else if (c === 0x7d && --depth === 0) return bytes.subarray(at, i + 1).toString("utf8");
  }
  throw new Error("the list of parts has no end");
}

/**
 * Whether a build may be released.
 * @throws {Error} For one that stands on anything but the runtime of Deno's own host.
 */
export function refuseBase(base: BuildFacts["base"], rehearsal: boolean): void {
  if (base.kind === "deno") return;
  if (rehearsal && base.kind === "testbase") return;
  throw new Error(
    `built on the runtime "${base.kind}": a release is built on the one of Deno's own host ` +
      "(unset DENORT_BIN)",
  );
}

/** Lines as `sha256sum -c` reads them, sorted by name. */
export function sums(files: ReadonlyMap<string, Uint8Array>): string {
  return [...files].sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, bytes]) => `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`)
    .join("");
}

/** The first places where two builds differ, for a human to look into; "" if they are equal. */
export function difference(a: Uint8Array, b: Uint8Array): string {
  if (a.length === b.length && Buffer.compare(a, b) === 0) return "";
  const places: string[] = [];
  for (let i = 0; i < Math.min(a.length, b.length) && places.length < 4; i++) {
    if (a[i] === b[i]) continue;
    places.push(`0x${i.toString(16)}`);
    while (i < a.length && a[i] !== b[i]) i++;
  }
  return `${a.length} and ${b.length} bytes, different from ${places.join(", ") || "the end"}`;
}
