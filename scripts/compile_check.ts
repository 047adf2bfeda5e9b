/**
 * `deno task compile:check`: for every target of a release, are its inputs there? The libraries are fetched from the npm
 * registry and compared with their pinned digests, none may be missing or too many, and the sandbox's profile must give a plan.
 * Says which targets this machine can build. Downloads some 60 MB the first time.
 */
import { samplePlan } from "../src/cli/sandbox_samples.ts";
import { BASE_POLICY } from "../src/sandbox/linux/policy.ts";
import { libraryFolder, obtainLibraries } from "./compile_libraries.ts";
import { librariesOf, type Target, TARGETS } from "./compile_targets.ts";

export interface TargetCheck {
  readonly triple: string;
  readonly problems: readonly string[];
  readonly libraries: number;
  readonly plan: string;
}

/** What the sandbox does on the target's system, in a word. @throws If its profile gives no plan. */
export function planOf(target: Target): string {
  const os = target.platform.split("-")[0]!;
  if (os === "linux") return `${BASE_POLICY.name}, measured`;
  const { policy } = samplePlan(os === "darwin" ? "macos" : "windows", "strict");
  return `${policy}, never run`;
}

/** Compares a target's libraries with the pinned ones, by content and by number. */
export async function checkTarget(target: Target): Promise<TargetCheck> {
  const problems: string[] = [];
  let libraries = 0;
  let plan = "";
  const attempt = async (action: () => Promise<void> | void) => {
    try {
      await action();
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  };
  await attempt(async () => {
    const set = librariesOf(target);
    if (!set) throw new Error(`no libraries are pinned for ${target.platform}`);
    libraries = (await obtainLibraries(target, set)).length;
    for await (const { name } of Deno.readDir(await libraryFolder(target, set))) {
      const opened = /^(lib)?ggml.*\.(so|dylib|dll)$/.test(name); // by ggml, if it lies there
      if (opened && !(name in set.files)) problems.push(`${set.package}: ${name} is not pinned`);
    }
  });
  await attempt(() => {
    plan = planOf(target);
  });
  return { triple: target.triple, problems, libraries, plan };
}

if (import.meta.main) {
  let failed = false;
  for (const target of TARGETS) {
    const { problems, libraries, plan } = await checkTarget(target);
    const built = target.triple === Deno.build.target
      ? "built and tested here"
      : "unbuilt: no runtime of it here";
    console.log(`${problems.length === 0 ? "ok  " : "FAIL"}  ${target.triple}: ${built}`);
    console.log(`      ${libraries} libraries as pinned; sandbox: ${plan}`);
    for (const problem of problems) console.log(`      ${problem}`);
    failed ||= problems.length > 0;
  }
  if (failed) Deno.exit(1);
}
