/**
 * Puts what a sandboxed run needs into a folder that every user may read: the runtime, bundled programs, the
 * libraries, the model. Tests run it as root and as a user who may not enter the checkout.
 */
import { join } from "node:path";
import { bundledProgram } from "../support/binary.ts";
import { delegateGroups } from "./delegation.ts";
import type { Stage } from "./matrix_run.ts";
import { notOn } from "../support/systems.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** An id without an account: nothing on the machine belongs to it. */
export const ORDINARY_UID = 61234;

export interface Staged extends Stage {
  readonly folder: string;
  /** Bundles of test programs, by name. */
  readonly programs: { readonly [name: string]: string };
  /** Whether a runner's cgroup can be made: where not, the reason was printed. */
  readonly groups: boolean;
  /** argv prefix under which a command runs as an ordinary user, in groups that were delegated to it. */
  asUser(): string[];
  remove(): Promise<void>;
}

const bundles = new Map<string, string>();

/** Once in a test file. */
async function bundle(entry: string): Promise<string> {
  const made = bundles.get(entry);
  if (made !== undefined) return made;
  const out = await Deno.makeTempFile({ prefix: "secllama-stage-", suffix: ".js" });
  globalThis.addEventListener("unload", () => Deno.removeSync(out));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform=deno", "--output", out, join(ROOT, entry)],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  await Deno.chmod(out, 0o644);
  bundles.set(entry, out);
  return out;
}

/** A hard link where it is possible: the runtime has 100 MB. */
async function place(from: string, to: string): Promise<void> {
  await Deno.link(from, to).catch(() => Deno.copyFile(from, to));
}

async function libraries(): Promise<string> {
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const modules = join(ROOT, "node_modules/.deno");
  for await (const { name } of Deno.readDir(modules)) {
    if (!name.startsWith(`@node-llama-cpp+linux-${arch}@`)) continue;
    const target = `linux-${arch}`;
    return join(modules, name, "node_modules/@node-llama-cpp", target, "bins", target);
  }
  throw new Error("the libraries are not installed; run: deno install");
}

/** Makes the folder. `programs`: further entries to bundle, name → path in the repository. */
export async function makeStage(programs: { readonly [name: string]: string }): Promise<Staged> {
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "secllama-stage-" });
  await Deno.chmod(folder, 0o755);
  const libDir = join(folder, "lib");
  await Deno.mkdir(libDir, { mode: 0o755 });
  const source = await libraries();
  for await (const { name, isFile } of Deno.readDir(source)) {
    if (isFile) await place(join(source, name), join(libDir, name));
  }
  const deno = join(folder, "deno");
  await place(Deno.execPath(), deno);
  const model = join(folder, "model.gguf");
  await place(join(ROOT, "models/demo.gguf"), model);
  const delegation = await delegateGroups(ORDINARY_UID);
  if (delegation.reason) {
    console.error(`SKIP: no cgroup is part of this test: ${delegation.reason}`);
  }
  const bundled: Record<string, string> = {};
  for (const [name, entry] of Object.entries(programs)) {
    bundled[name] = join(folder, `${name}.js`);
    await Deno.copyFile(await bundle(entry), bundled[name]);
  }
  const attacker = join(folder, "attacker.js");
  // It is made with the program, as new as its source.
  bundledProgram();
  await Deno.copyFile(join(ROOT, "build/attacker.js"), attacker);
  return {
    folder,
    deno,
    libDir,
    model,
    attacker,
    programs: bundled,
    groups: delegation.reason === "",
    asUser: () => [
      ...delegation.enter,
      "/usr/bin/setpriv",
      `--reuid=${ORDINARY_UID}`,
      `--regid=${ORDINARY_UID}`,
      "--clear-groups",
      "--",
    ],
    async remove() {
      await delegation.remove();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Runs a staged program to its end and parses the JSON that it prints. @throws If it fails. */
export async function runStaged<T>(
  stage: Staged,
  program: string,
  argument: unknown,
  options: { asUser: boolean },
): Promise<T> {
  const argv = [
    ...(options.asUser ? stage.asUser() : []),
    stage.deno,
    "run",
    "-A",
    "--no-lock",
    stage.programs[program]!,
    JSON.stringify(argument),
  ];
  const { success, stdout, stderr } = await new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    env: { PATH: "/usr/bin:/bin", DENO_DIR: "/dev/null/deno" },
    clearEnv: true,
    cwd: stage.folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout)) as T;
}

export const linuxOnly = notOn("linux");
/** Who the tests can be: root is also an ordinary user, and an ordinary user only that. */
export const IDENTITIES: readonly { readonly name: string; readonly asUser: boolean }[] =
  linuxOnly || Deno.uid() !== 0
    ? [{ name: "ordinary user", asUser: false }]
    : [{ name: "root", asUser: false }, { name: "ordinary user", asUser: true }];
