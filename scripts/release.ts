/**
 * `deno task release`: builds each target twice and compares, then writes sums, bills of materials, the package files of
 * scripts/release/, the installer, and a signature.
 *
 *     deno task release --url URL --key FILE --public-key FILE [--output FOLDER] [--target TRIPLE]…
 *
 * URL is where the files will lie. The key is minisign's; it asks for the password on the terminal.
 * `--rehearse` runs all steps on the test base, for this machine only, and what it makes says so. It is no release. With
 * `--first FILE` and `--second FILE` a rehearsal takes files that were built before as the two builds.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { VERSION, VERSION_DATE } from "../src/version.ts";
import { findTarget, type Target, TARGETS } from "./compile_targets.ts";
import { sha256 } from "./compile_parts.ts";
import {
  type Artefact,
  artefactName,
  difference,
  partListInside,
  refuseBase,
  type Release,
  sums,
} from "./release/artefacts.ts";
import { packageFiles } from "./release/packages.ts";
import { billOfMaterials, installedLicenses } from "./release/sbom.ts";
import { readPublicKey, sign } from "./release/signature.ts";

const ROOT = new URL("../", import.meta.url).pathname;

interface Plan {
  readonly url: string;
  readonly keyFile: string;
  readonly publicKey: string;
  readonly output: string;
  readonly targets: readonly Target[];
  readonly rehearsal: boolean;
  /** The first and the second build, where they are there. */
  readonly made: readonly [first: string | undefined, second: string | undefined];
  readonly version: string;
}

async function readArgs(): Promise<Plan> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      url: { type: "string" },
      key: { type: "string" },
      "public-key": { type: "string" },
      output: { type: "string" },
      target: { type: "string", multiple: true },
      rehearse: { type: "boolean" },
      first: { type: "string" },
      second: { type: "string" },
    },
  });
  const rehearsal = values.rehearse === true;
  const { url, key, "public-key": publicKeyFile } = values;
  if (!url || !key || !publicKeyFile) throw new Error("--url, --key and --public-key are needed");
  const local = rehearsal && /^http:\/\/127\.0\.0\.1:\d+$/.test(url);
  if (!local && !/^https:\/\/[A-Za-z0-9.-]+(:\d+)?(\/[A-Za-z0-9._~-]+)*$/.test(url)) {
    throw new Error("--url must be https, without a query or a slash at the end");
  }
  if (rehearsal && values.output === undefined) throw new Error("--rehearse needs --output");
  const { first, second } = values;
  if (!rehearsal && (first ?? second) !== undefined) {
    throw new Error("--first and --second are for --rehearse");
  }
  if (Deno.env.has("DENORT_BIN")) {
    throw new Error("unset DENORT_BIN: a release takes Deno's own runtime");
  }
  return {
    url,
    keyFile: resolve(key),
    publicKey: await readPublicKey(publicKeyFile),
    output: resolve(values.output ?? join(ROOT, "dist/release")),
    targets: rehearsal
      ? [findTarget("x86_64-unknown-linux-gnu")]
      : values.target?.map(findTarget) ?? TARGETS,
    rehearsal,
    made: [first, second],
    version: rehearsal ? `${VERSION}+rehearsal` : VERSION,
  };
}

async function output(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout } = await new Deno.Command(program, {
    args: [...args],
    cwd: ROOT,
    stderr: "inherit",
  }).output();
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 3).join(" ")} ended with ${code}`);
  return new TextDecoder().decode(stdout);
}

/** Builds a target twice. @throws {Error} If the two differ, or may not be released. */
async function build(plan: Plan, target: Target): Promise<[Artefact, Uint8Array]> {
  const file = artefactName(plan.version, target);
  const compile = (path: string) =>
    output(Deno.execPath(), [
      "run",
      "-A",
      "--frozen",
      "scripts/compile.ts",
      ...(plan.rehearsal ? ["--testbase"] : []),
      "--target",
      target.triple,
      "--output",
      path,
    ]);
  const builds: Uint8Array[] = [];
  const another = join(plan.output, ".first");
  for (const [at, path] of [another, join(plan.output, file)].entries()) {
    const made = plan.made[at];
    if (made !== undefined) await Deno.copyFile(made, path);
    else await compile(path);
    builds.push(await Deno.readFile(path));
  }
  await Deno.remove(another);
  const [first, second] = builds as [Uint8Array, Uint8Array];
  const differs = difference(first, second);
  if (differs !== "") throw new Error(`two builds of ${file} differ: ${differs}`);
  console.log(`${file}: two builds, the same ${second.length} bytes`);
  return [{ target, file, sizeBytes: second.length, sha256: sha256(second) }, second];
}

async function main(): Promise<void> {
  const plan = await readArgs();
  if (!plan.rehearsal && await output("git", ["status", "--porcelain"]) !== "") {
    throw new Error("the working tree has changes: a release is of a commit");
  }
  await Deno.mkdir(plan.output, { recursive: true });
  if ([...Deno.readDirSync(plan.output)].length > 0) throw new Error(`${plan.output} is not empty`);
  await output(Deno.execPath(), ["task", "--quiet", "bundle"]);
  const files = new Map<string, Uint8Array>();
  const write = (name: string, text: string) => files.set(name, new TextEncoder().encode(text));
  const artefacts: Artefact[] = [];
  for (const target of plan.targets) {
    const [artefact, bytes] = await build(plan, target);
    const list = partListInside(bytes);
    refuseBase(list.build.base, plan.rehearsal);
    if (target.triple === Deno.build.target) {
      await asItSays(join(plan.output, artefact.file), artefact);
    }
    const bill = billOfMaterials(artefact, list, {
      date: VERSION_DATE,
      deno: Deno.version.deno,
      licenseOf: installedLicenses(ROOT),
    });
    write(`${artefact.file}.cdx.json`, JSON.stringify(bill, null, 2) + "\n");
    files.set(artefact.file, bytes);
    artefacts.push(artefact);
  }
  const release: Release = { ...plan, artefacts };
  for (const [name, text] of await packageFiles(release, ROOT)) write(name, text);
  for (const [name, bytes] of files) await Deno.writeFile(join(plan.output, name), bytes);
  for (const { file } of artefacts) await Deno.chmod(join(plan.output, file), 0o755);
  const list = join(plan.output, "SHA256SUMS");
  await Deno.writeTextFile(list, sums(files));
  await sign(list, plan, `secllama ${plan.version}`);
  console.log(
    `${plan.rehearsal ? "rehearsed" : "made"} ${plan.output}: ${files.size} files, signed`,
  );
}

/** What the program says of itself, where it can be asked. */
async function asItSays(path: string, artefact: Artefact): Promise<void> {
  const facts = JSON.parse(await output(path, ["version", "--json"]));
  if (facts.program?.sha256 !== artefact.sha256) {
    throw new Error(`${artefact.file} names another digest of itself`);
  }
}

if (import.meta.main) {
  await main().catch((error) => {
    console.error(`error: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  });
}
