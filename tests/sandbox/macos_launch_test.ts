/**
 * The macOS probe, the gateway's reading and the runner's attempts, against fakes: of sandbox-exec, which records its argv, and of
 * the C library (src/macos/fake_macos.ts). What a Mac makes of them has not been seen.
 */
import assert from "node:assert/strict";
import { attackByMacos, tryProfile } from "../../src/escape/macos.ts";
import { FakeMacos, type FakeOptions } from "../../src/macos/fake_macos.ts";
import { macosPlatform } from "../../src/sandbox/macos/platform.ts";
import { MACOS_POLICY, SANDBOX_EXEC } from "../../src/sandbox/macos/plan.ts";
import type { MacosHost } from "../../src/sandbox/macos/probe.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";

const STRICT = "strict";
const WEAK = "best-effort";
const DENO = "/opt/homebrew/bin/deno";
const REAL_DENO = "/opt/homebrew/Cellar/deno/2.9.4/bin/deno";
const TARGET = runnerTarget(
  { deno: DENO, runner: "/Users/u/secllama/build/runner.js", libDir: "/Users/u/lib" },
  "/Users/u/models/blobs/sha256-00",
);
const CLOSED = /deny file-read-data/;

/** A fake sandbox-exec: exit codes under the open and under the closed profile. */
async function mac(
  o: { codes?: [number | undefined, number | undefined]; missing?: boolean } & FakeOptions = {},
) {
  const ran: (readonly string[])[] = [];
  const [open, closed] = o.codes ?? [0, 1];
  const host: MacosHost = {
    arch: "aarch64",
    system: new FakeMacos({ cache: "/var/folders/ab/cd/C/" }),
    exists: (path) => path === SANDBOX_EXEC && o.missing !== true,
    realPath: (path) => path === DENO ? REAL_DENO : path,
    run(argv) {
      ran.push(argv);
      return Promise.resolve(CLOSED.test(argv[2]!) ? closed : open);
    },
  };
  const system = new FakeMacos({ readable: REAL_DENO, ...o });
  const platform = await macosPlatform({ host, system });
  return { platform, ran, system };
}

Deno.test("macOS (fake sandbox-exec): a profile that denies must deny, one that does not must not", async () => {
  const { platform, ran } = await mac();
  assert.match(platform.facts, /sandbox-exec yes/);
  assert.equal(ran.length, 2);
  for (const argv of ran) {
    assert.equal(argv[0], "/usr/bin/sandbox-exec");
    assert.equal(argv[1], "-p");
    assert.deepEqual(argv.slice(3), ["--", "/bin/cat", "/private/etc/hosts"]);
  }
  assert.doesNotMatch(ran[0]![2]!, CLOSED);
  assert.match(ran[1]![2]!, CLOSED);
});

Deno.test("macOS (fake sandbox-exec): missing, failing, hanging or not isolating, strict refuses", async () => {
  const cases: [Parameters<typeof mac>[0], RegExp][] = [
    [{ missing: true }, /sandbox-exec not found at \/usr\/bin\/sandbox-exec/],
    [{ codes: [1, 1] }, /does not run a program/],
    [{ codes: [undefined, 1] }, /does not run a program/],
    [{ codes: [0, undefined] }, /did not end/],
    [{ codes: [0, 0] }, /did not isolate/],
  ];
  for (const [options, reason] of cases) {
    const { platform } = await mac(options);
    assert.match(platform.facts, reason);
    assert.throws(() => platform.plan(TARGET, STRICT), {
      code: "sandbox-unavailable",
      message: reason,
      hint: /secllama doctor/,
    });
    const { plan: weak } = platform.plan(TARGET, WEAK);
    assert.equal(weak.level, "weak");
    assert.match(weak.warnings.join(), reason);
  }
});

Deno.test("macOS: the command is the plan's, by real paths, with no environment of the operator's", async () => {
  const { platform } = await mac();
  const confinement = platform.plan({ ...TARGET, gpu: "metal" }, STRICT);
  const { argv, env } = confinement.plan;
  assert.equal(argv[0], SANDBOX_EXEC);
  assert.equal(argv[argv.indexOf("--") + 1], REAL_DENO);
  assert.match(argv.join("\n"), /SHADER_CACHE=\/private\/var\/folders\/ab\/cd\/C\/deno/);
  assert.deepEqual(Object.keys(env).sort(), ["DENO_DIR", "DENO_NO_UPDATE_CHECK", "LANG"]);
  await assert.rejects(confinement.start(), Deno.errors.NotFound, "it is what is started");
  assert.equal(confinement.findRunner(7), 7, "sandbox-exec becomes the runner");
  assert.deepEqual(platform.gpus, ["metal"]);
});

const OWN = ["private files", "no writes", "no other program"].map((layer) => ({
  layer,
  enforced: true,
  observed: "",
}));

Deno.test("macOS (fake FFI): each layer that is missing, unreadable or always denied counts", async () => {
  const judge = async (options: FakeOptions, own: typeof OWN = OWN) => {
    const { platform } = await mac(options);
    const confinement = platform.plan(TARGET, STRICT);
    return confinement.judge(confinement.measure(7), own);
  };
  assert.deepEqual(await judge({}), []);
  const cases: [{ [operation: string]: number }, RegExp][] = [
    [{ "none": 0 }, /^sandbox profile: missing/],
    [{ "network-outbound": 0 }, /^no network: missing .*2 of 3/],
    [{ "network-bind": -1 }, /^no network: unreadable/],
    [{ "mach-lookup": 0 }, /^no name service: missing/],
    [{ "process-fork": 0 }, /^no other program: missing/],
    [{ "process-exec": 0 }, /^no other program: missing/],
    [{ "file-read-data": 0 }, /^private files: missing/],
    [{ "own file": 1 }, /^private files: unreadable .*its own program too/],
    [{ "file-write-create": 0 }, /^no writes: missing/],
  ];
  for (const [check, problem] of cases) {
    const problems = await judge({ check });
    assert.equal(problems.length, 1, problems.join());
    assert.match(problems[0]!, problem);
  }
  const dead = { none: -1, "process-fork": -1, "mach-lookup": -1, "own file": -1 };
  assert.ok((await judge({ check: dead })).length >= 4, "a process that is gone");
  assert.equal((await judge({}, [])).length, 3);
  assert.match(
    (await judge({}, [{ layer: "no writes", enforced: false, observed: "" }])).join(),
    /no writes/,
  );
  const { system, platform } = await mac();
  platform.plan(TARGET, STRICT).measure(7);
  for (const service of MACOS_POLICY.deniedServices) {
    assert.ok(system.calls.includes(`sandbox_check mach-lookup ${service}`), service);
  }
});

Deno.test("macOS (fake FFI): the runner attacks each listener by native calls", () => {
  const targets = { tcp4: 0x1234, tcp6: 5, udp: 6, pathStream: "/private/tmp/p" };
  const refused = new FakeMacos({ allow: ["socket"] });
  assert.deepEqual(
    attackByMacos(refused, targets).map((r) => [r.target, r.outcome, r.step]),
    [
      ["tcp4", "blocked", "connect"],
      ["tcp6", "blocked", "connect"],
      ["udp", "blocked", "sendto"],
      ["pathStream", "blocked", "connect"],
    ],
  );
  assert.ok(refused.calls.includes("connect 16,2,18,52,127,0,0,1"));
  assert.ok(refused.calls.includes("connect 17,1,47,112,114,105,118,97"), "length, family, path");
  assert.ok(attackByMacos(new FakeMacos(), targets).every((r) => r.step === "socket"));
  const open = new FakeMacos({ allow: ["socket", "connect", "sendto"] });
  assert.ok(attackByMacos(open, targets).every((r) => r.outcome === "out" && r.errno === ""));
});

Deno.test("macOS (fake FFI): what the profile must refuse is tried, and a success is reported", () => {
  assert.ok(tryProfile(new FakeMacos()).every((l) => l.enforced));
  for (
    const [call, layer] of [
      ["open", "private files"],
      ["creat", "no writes"],
      ["posix_spawn", "no other program"],
    ] as const
  ) {
    const fake = new FakeMacos({ allow: [call] });
    assert.deepEqual(tryProfile(fake).filter((l) => !l.enforced).map((l) => l.layer), [layer]);
    if (call === "creat") assert.match(fake.calls.join("\n"), /unlink/, "nothing is left behind");
  }
});
