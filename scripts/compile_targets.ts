/** The systems that a release is built for: Deno's name of the target, and the npm package that brings llama.cpp for it. */
import { LIBRARY_SETS, type LibrarySet } from "../runner/engine/digests.ts";

export interface Target {
  /** `deno compile --target`. */
  readonly triple: string;
  /** As in `LibrarySet.platform`. */
  readonly platform: string;
  /** `deno install --os … --arch …`, and the last words of the package's name. */
  readonly npm: { readonly os: string; readonly arch: string; readonly name: string };
  /** Whether its sandbox was run by the authors: see docs/sandbox-macos-windows.md. */
  readonly runs: boolean;
}

export const TARGETS: readonly Target[] = [
  {
    triple: "x86_64-unknown-linux-gnu",
    platform: "linux-x86_64",
    npm: { os: "linux", arch: "x64", name: "linux-x64" },
    runs: true,
  },
  {
    triple: "aarch64-unknown-linux-gnu",
    platform: "linux-aarch64",
    npm: { os: "linux", arch: "arm64", name: "linux-arm64" },
    runs: true,
  },
  {
    triple: "aarch64-apple-darwin",
    platform: "darwin-aarch64",
    npm: { os: "darwin", arch: "arm64", name: "mac-arm64-metal" },
    runs: false,
  },
  {
    triple: "x86_64-apple-darwin",
    platform: "darwin-x86_64",
    npm: { os: "darwin", arch: "x64", name: "mac-x64" },
    runs: false,
  },
  {
    triple: "x86_64-pc-windows-msvc",
    platform: "windows-x86_64",
    npm: { os: "win32", arch: "x64", name: "win-x64" },
    runs: false,
  },
];

/** @throws {RangeError} If it is none of the targets. */
export function findTarget(triple: string): Target {
  const target = TARGETS.find((t) => t.triple === triple);
  if (!target) {
    throw new RangeError(
      `unknown target ${triple}; one of: ${TARGETS.map((t) => t.triple).join(", ")}`,
    );
  }
  return target;
}

/** The pinned libraries of a target, or undefined where none are pinned yet. */
export function librariesOf(target: Target): LibrarySet | undefined {
  const prefix = `@node-llama-cpp/${target.npm.name}@`;
  return LIBRARY_SETS.find((set) => set.package.startsWith(prefix));
}
