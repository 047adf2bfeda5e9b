/**
 * The macOS plan and its profile, without macOS: golden files (SECLLAMA_UPDATE_GOLDEN=1 rewrites them), and what the evaluator of
 * tests/support/seatbelt.ts says that the profile permits. What Apple's own compiler and kernel make of it has not been seen.
 */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import {
  composeProfile,
  MACOS_POLICY,
  type MacosCapabilities,
  type MacosPlan,
  makeMacosPlan,
  SANDBOX_EXEC,
} from "../../src/sandbox/macos/plan.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import { parameters, parse, permits, readProfile } from "../support/seatbelt.ts";

const STRICT = "strict";
const WEAK = "best-effort";
const OFF = "off";
const MODEL = "/Users/user/models/blobs/sha256-00";
const DENO = "/opt/homebrew/bin/deno";
const REAL_DENO = "/opt/homebrew/Cellar/deno/2.9.4/bin/deno";
const TARGET = runnerTarget({
  deno: DENO,
  runner: "/Users/user/secllama/build/runner.js",
  libDir: "/tmp/libs",
}, MODEL);
const CACHE = "/var/folders/ab/cd/C/";
const CAPS: MacosCapabilities = {
  sandboxExec: true,
  arch: "aarch64",
  userCacheDir: CACHE,
  realPaths: { [DENO]: REAL_DENO },
};
const METAL = { ...TARGET, gpu: "amd" } as const;

function print(plan: MacosPlan): string {
  return [
    `policy ${plan.policy} · level ${plan.level} · forks ${plan.forks}`,
    ...plan.warnings.map((warning) => `warning: ${warning}`),
    "",
    "argv",
    ...plan.argv.map((arg) => `  ${arg === plan.profile ? "PROFILE" : arg}`),
    "",
    "environment",
    ...Object.entries(plan.env).map(([name, value]) => `  ${name}=${value}`),
    "",
    "layers",
    ...plan.layers.map((l) => `  ${l.planned ? "+" : "-"} ${l.layer}: ${l.detail}`),
    "",
    "PROFILE",
    plan.profile ?? "none",
    "",
  ].join("\n");
}

const GOLDEN: Record<string, () => MacosPlan> = {
  "cpu": () => makeMacosPlan(TARGET, CAPS, STRICT),
  "metal-aarch64": () => makeMacosPlan(METAL, CAPS, STRICT),
  "metal-x86_64": () => makeMacosPlan(METAL, { ...CAPS, arch: "x86_64" }, STRICT),
  "weak": () => makeMacosPlan(TARGET, { ...CAPS, sandboxExec: false }, WEAK),
  "off": () => makeMacosPlan(TARGET, CAPS, OFF),
};

for (const [name, make] of Object.entries(GOLDEN)) {
  Deno.test(`the macOS plan ${name} is the golden one`, async () => {
    const text = print(make());
    const path = new URL(`../golden/sandbox/macos-${name}.txt`, import.meta.url);
    if (Deno.env.get("SECLLAMA_UPDATE_GOLDEN")) await Deno.writeTextFile(path, text);
    assert.equal(text, await Deno.readTextFile(path));
  });
}

Deno.test("the parser refuses what is not a usable profile", () => {
  const head = "(version 1)(deny default)";
  readProfile(`${head}(deny network*)`);
  for (
    const bad of [
      "(version 1)",
      "(version 1)(allow default)",
      `${head}(allow default)`,
      `${head}(allow network-outbound (literal "/x"))`,
      `${head}(allow network*)`,
      `${head}(allow mach-lookup)`,
      `${head}(allow file-write*)`,
      `${head}(allow file-raed* (literal "/"))`,
      `${head}(allow file-read* (litteral "/"))`,
      `${head}(deny network*`,
      `${head}(deny network*))`,
      `${head}(deny network* "open)`,
      `${head}(import "system.sb")`,
    ]
  ) {
    assert.throws(() => readProfile(bad), bad);
  }
});

Deno.test("the profile is balanced and known, and uses the parameters of the plan, all of them", () => {
  for (const target of [TARGET, METAL]) {
    for (const arch of ["aarch64", "x86_64"] as const) {
      const plan = makeMacosPlan(target, { ...CAPS, arch }, STRICT);
      readProfile(plan.profile!);
      const used = new Set(parameters(parse(plan.profile!)));
      assert.deepEqual([...used].sort(), Object.keys(plan.parameters).sort());
      const defined = plan.argv.flatMap((arg, i) => plan.argv[i - 1] === "-D" ? [arg] : []);
      assert.deepEqual(defined, Object.entries(plan.parameters).map(([k, v]) => `${k}=${v}`));
    }
  }
});

Deno.test("sandbox-exec is named by its absolute path and is given the profile and the command", () => {
  const { argv, profile, level } = makeMacosPlan(TARGET, CAPS, STRICT);
  assert.equal(level, "full");
  assert.equal(argv[0], "/usr/bin/sandbox-exec");
  assert.equal(argv[0], SANDBOX_EXEC);
  assert.equal(argv[argv.indexOf("-p") + 1], profile);
  assert.equal(argv[argv.indexOf("--") + 1], REAL_DENO);
});

Deno.test("no network, no other program, no service that would act for the runner, no write", () => {
  for (const plan of [makeMacosPlan(TARGET, CAPS, STRICT), makeMacosPlan(METAL, CAPS, STRICT)]) {
    for (const operation of ["network-outbound", "network-bind", "network-inbound"]) {
      for (const path of ["*:443", "localhost:*", "/private/var/run/mDNSResponder"]) {
        assert.ok(!permits(plan, operation, path), operation);
      }
    }
    for (const name of MACOS_POLICY.deniedServices) {
      assert.ok(!permits(plan, "mach-lookup", name, "global-name"), name);
    }
    for (const operation of ["job-creation", "process-fork", "system-socket", "lsopen"]) {
      assert.ok(!permits(plan, operation, ""), operation);
    }
    assert.ok(permits(plan, "process-exec", REAL_DENO), "sandbox-exec itself needs this one");
    for (const path of ["/bin/sh", "/usr/bin/open", "/usr/bin/curl", MODEL]) {
      assert.ok(!permits(plan, "process-exec", path), path);
    }
    for (
      const path of [
        "/private/tmp/x",
        "/Users/user/.zshrc",
        MODEL,
        "/private/tmp/libs/x",
        REAL_DENO,
      ]
    ) {
      for (const operation of ["file-write-data", "file-write-create", "file-write-mode"]) {
        assert.ok(!permits(plan, operation, path), `${operation} ${path}`);
      }
    }
  }
});

Deno.test("each protection is also a rule of its own, after all that is allowed", () => {
  const rules = readProfile(makeMacosPlan(TARGET, CAPS, STRICT).profile!);
  const lastAllow = rules.findLastIndex((rule) => rule.action === "allow");
  const denied = rules.slice(lastAllow + 1);
  const operations = denied.flatMap((rule) => rule.operations);
  for (
    const operation of [
      "network*",
      "system-socket",
      "job-creation",
      "process-fork",
      "process-exec*",
      "file-write*",
      "mach-lookup",
      "appleevent-send",
      "lsopen",
    ]
  ) {
    assert.ok(operations.includes(operation), `(deny ${operation}) is missing`);
  }
  const services = denied.find((rule) => rule.operations.includes("mach-lookup"))!.filters
    .map((filter) => (filter[1] as { text: string }).text);
  assert.deepEqual(services, MACOS_POLICY.deniedServices);
  for (const wanted of ["mDNSResponder", "launchservicesd", "SecurityServer"]) {
    assert.ok(services.some((name) => name.endsWith(wanted)), wanted);
  }
});

Deno.test("it reads its program, libraries and model, and nothing else of the user's", () => {
  const plan = makeMacosPlan(TARGET, CAPS, STRICT);
  for (
    const path of [
      REAL_DENO,
      MODEL,
      "/private/tmp/libs/libllama.dylib",
      "/usr/lib/libSystem.B.dylib",
    ]
  ) {
    assert.ok(permits(plan, "file-read-data", path), path);
  }
  for (
    const path of [
      "/Users/user/.ssh/id_ed25519",
      "/Users/user/models/blobs/sha256-01",
      "/Users/user/models/blobs",
      "/private/etc/passwd",
      "/private/tmp/libs2/x",
      "/private/var/db/other",
    ]
  ) {
    assert.ok(!permits(plan, "file-read-data", path), path);
  }
  assert.ok(permits(plan, "file-read-metadata", "/Users/user"), "ancestors can be looked up");
  assert.ok(!permits(plan, "file-read-metadata", "/Users/user/.ssh"));
  assert.ok(permits(plan, "file-map-executable", "/private/tmp/libs/libllama.dylib"));
  assert.ok(!permits(plan, "file-map-executable", MODEL), "a model is never code");
});

Deno.test("Metal only for a GPU, by the machine's architecture, with one writable cache folder", () => {
  const agx = (plan: MacosPlan) =>
    permits(plan, "iokit-open", "AGXDeviceUserClient", "iokit-user-client-class");
  const compiler = (plan: MacosPlan) =>
    permits(plan, "mach-lookup", "com.apple.MTLCompilerService", "xpc-service-name");
  const accelerator = (plan: MacosPlan) =>
    permits(plan, "iokit-open", "IOAccelerator", "iokit-connection");
  const cpu = makeMacosPlan(TARGET, CAPS, STRICT);
  assert.deepEqual([agx(cpu), compiler(cpu), accelerator(cpu)], [false, false, false]);
  assert.doesNotMatch(cpu.profile!, /iokit|Metal|MTL|SHADER|allow mach/);
  const arm = makeMacosPlan(METAL, CAPS, STRICT);
  assert.deepEqual([agx(arm), compiler(arm), accelerator(arm)], [true, true, false]);
  const intel = makeMacosPlan(METAL, { ...CAPS, arch: "x86_64" }, STRICT);
  assert.deepEqual([agx(intel), compiler(intel), accelerator(intel)], [false, true, true]);
  const cache = "/private/var/folders/ab/cd/C";
  assert.ok(permits(arm, "file-write-create", `${cache}/deno/com.apple.metal/x`));
  assert.ok(!permits(arm, "file-write-create", `${cache}/other/x`), "not the whole cache");
  const { userCacheDir: _, ...none } = CAPS;
  assert.doesNotMatch(makeMacosPlan(METAL, none, STRICT).profile!, /allow file-read\* file-write/);
  assert.throws(() => composeProfile(["vulkan"]), RangeError);
});

Deno.test("without sandbox-exec strict refuses; weak and off run bare and say so", () => {
  const caps = { ...CAPS, sandboxExec: false };
  assert.throws(() => makeMacosPlan(TARGET, caps, STRICT), (error) => {
    assert.ok(error instanceof SecLlamaError && error.code === "sandbox-unavailable");
    assert.match(error.message, /sandbox-exec not found/);
    assert.match(error.hint ?? "", /secllama doctor/);
    return true;
  });
  const weak = makeMacosPlan(TARGET, caps, WEAK);
  assert.equal(weak.level, "weak");
  assert.match(weak.warnings.join(), /sandbox-exec not found/);
  const off = makeMacosPlan(TARGET, CAPS, OFF);
  assert.equal(off.level, "none");
  assert.match(off.warnings.join(), /disabled by the operator/);
  for (const plan of [weak, off]) {
    assert.equal(plan.argv[0], REAL_DENO);
    assert.ok(plan.layers.every((layer) => !layer.planned));
  }
});

Deno.test("paths are real ones, and nothing but what was given can be named", () => {
  const plan = makeMacosPlan(TARGET, CAPS, STRICT);
  assert.equal(plan.pathMap(DENO), REAL_DENO);
  assert.equal(plan.pathMap("/tmp/libs/a.dylib"), "/private/tmp/libs/a.dylib");
  for (const path of ["/Users/user/.ssh/id", MODEL + "1", "/tmp/libs/../x"]) {
    assert.throws(() => plan.pathMap(path), RangeError, path);
  }
  for (const path of ["/", "relative", "/a/../b", "/a\nb", ""]) {
    assert.throws(
      () => makeMacosPlan({ ...TARGET, readOnly: [path], args: [] }, CAPS, STRICT),
      path,
    );
    const real = { ...CAPS, realPaths: { [MODEL]: path } };
    assert.throws(() => makeMacosPlan(TARGET, real, STRICT), `a real path ${path}`);
  }
  const many = { ...TARGET, args: [], readOnly: ["/a", "/b", "/c", "/d", "/e"] };
  assert.throws(() => makeMacosPlan(many, CAPS, STRICT), /at most 4/);
});
