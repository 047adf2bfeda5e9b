/**
 * The Windows plan and its firewall rules, without Windows: golden files (SECLLAMA_UPDATE_GOLDEN=1 rewrites them) and a fake that
 * records the commands. What Windows makes of them has not been seen.
 */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import {
  addFirewallRules,
  firewallShortcomings,
  removeFirewallRules,
  type Run,
  type RunResult,
} from "../../src/sandbox/windows/firewall.ts";
import {
  makeWindowsPlan,
  type WindowsCapabilities,
  type WindowsPlan,
} from "../../src/sandbox/windows/plan.ts";
import type { LaunchedTarget } from "../../src/sandbox/types.ts";

const STRICT = "strict";
const WEAK = "best-effort";
const APP = "C:\\Program Files\\SecLlama";
const MODEL = "C:\\Users\\user\\AppData\\Local\\secllama\\models\\blobs\\sha256-00";
const TARGET: LaunchedTarget = {
  executable: `${APP}\\secllama-lib\\runner.exe`,
  args: [{ prefix: "--allow-read=", paths: [`${APP}\\libs`, MODEL] }],
  readOnly: [`${APP}\\libs`, MODEL],
  gpu: "none",
  launcher: { executable: `${APP}\\secllama.exe`, args: ["launch-runner"] },
  memory: { privateBytes: 12 * 2 ** 30, groupBytes: 13 * 2 ** 30 },
};
const SHARED = { ...TARGET, executable: `${APP}\\SECLLAMA.exe` };
const CAPS: WindowsCapabilities = {
  appContainer: true,
  elevated: true,
  systemRoot: "C:\\Windows",
  instance: "4711",
};

function print(plan: WindowsPlan): string {
  const argv = (args: readonly string[]) =>
    args.map((arg) => `  ${arg.startsWith("{") ? "LAUNCH" : arg}`);
  const commands = plan.firewall;
  return [
    `policy ${plan.policy} · level ${plan.level} · forks ${plan.forks}`,
    ...plan.warnings.map((warning) => `warning: ${warning}`),
    "",
    "argv",
    ...argv(plan.argv),
    "",
    "environment",
    ...Object.entries(plan.env).map(([name, value]) => `  ${name}=${value}`),
    "",
    "layers",
    ...plan.layers.map((l) => `  ${l.planned ? "+" : "-"} ${l.layer}: ${l.detail}`),
    "",
    ...(commands
      ? [
        ...commands.add.flatMap((add) => ["firewall, before", ...argv(add), ""]),
        "firewall, read back",
        ...argv(commands.readBack),
        "",
        "firewall, after",
        ...argv(commands.remove),
        "",
      ]
      : []),
    `LAUNCH = ${JSON.stringify(plan.launch, null, 2)}`,
    "",
  ].join("\n");
}

const GOLDEN: Record<string, () => WindowsPlan> = {
  "full": () => makeWindowsPlan(TARGET, CAPS, STRICT),
  "user": () => makeWindowsPlan(TARGET, { ...CAPS, elevated: false }, STRICT),
  "firewall-only": () => makeWindowsPlan(TARGET, { ...CAPS, appContainer: false }, STRICT),
  "weak": () => makeWindowsPlan(TARGET, { ...CAPS, appContainer: false, elevated: false }, WEAK),
  "off": () => makeWindowsPlan(TARGET, CAPS, "off"),
};

for (const [name, make] of Object.entries(GOLDEN)) {
  Deno.test(`the Windows plan ${name} is the golden one`, async () => {
    const text = print(make());
    const path = new URL(`../golden/sandbox/windows-${name}.txt`, import.meta.url);
    if (Deno.env.get("SECLLAMA_UPDATE_GOLDEN")) await Deno.writeTextFile(path, text);
    assert.equal(text, await Deno.readTextFile(path));
  });
}

Deno.test("an AppContainer without any capability, granted its own files only", () => {
  const { launch, level } = makeWindowsPlan(TARGET, { ...CAPS, elevated: false }, STRICT);
  assert.equal(level, "reduced");
  const container = launch!.appContainer!;
  assert.deepEqual(container.capabilities, []);
  assert.match(container.name, /^[A-Za-z0-9.-]{1,64}$/);
  assert.deepEqual(container.grants, [
    { path: TARGET.executable, access: "read-execute" },
    { path: `${APP}\\libs`, access: "read-execute" },
    { path: MODEL, access: "read" },
  ]);
  // PROC_THREAD_ATTRIBUTE_SECURITY_CAPABILITIES: without it the process is not in the container.
  assert.ok(Object.values(launch!.process.attributes).includes(0x20009));
  const other = makeWindowsPlan(
    { ...TARGET, args: [], readOnly: [MODEL + "1"] },
    CAPS,
    STRICT,
  );
  assert.notEqual(other.launch!.appContainer!.name, container.name, "grants are not shared");
});

Deno.test("a job that ends with its handle, holds one process and caps memory, with no way out", () => {
  for (const appContainer of [true, false]) {
    const { job, process } = makeWindowsPlan(TARGET, { ...CAPS, appContainer }, WEAK).launch!;
    assert.equal(job.limitFlags & 0x2000, 0x2000, "KILL_ON_JOB_CLOSE");
    assert.equal(job.limitFlags & 0x8, 0x8, "ACTIVE_PROCESS");
    assert.equal(job.activeProcesses, 1);
    assert.equal(job.limitFlags & 0x200, 0x200, "JOB_MEMORY");
    assert.equal(job.memoryBytes, TARGET.memory!.privateBytes);
    assert.equal(job.limitFlags & 0x1800, 0, "no breakaway");
    assert.equal(process.creationFlags & 0x4, 0x4, "suspended until it is in the job");
    assert.equal(process.creationFlags & 0x80000, 0x80000, "attributes are used");
    const attributes = Object.values(process.attributes);
    for (const key of [0x20002, 0x2000d, 0x2000e]) assert.ok(attributes.includes(key));
    assert.deepEqual(process.handles, ["stdin", "stdout", "stderr"]);
    assert.equal(process.childProcesses, "restricted");
  }
  const { memory: _, ...unlimited } = TARGET;
  const plan = makeWindowsPlan(unlimited, CAPS, STRICT);
  assert.equal(plan.launch!.job.limitFlags & 0x200, 0);
  assert.ok(!plan.layers.find((layer) => layer.layer === "limits")!.planned);
});

Deno.test("strict needs an AppContainer or rules for an executable of the runner's own", () => {
  const cases: [ok: boolean, LaunchedTarget, Partial<WindowsCapabilities>][] = [
    [true, TARGET, {}],
    [true, TARGET, { elevated: false }],
    [true, TARGET, { appContainer: false }],
    [true, SHARED, {}],
    [false, TARGET, { appContainer: false, elevated: false }],
    [false, SHARED, { appContainer: false }],
  ];
  for (const [ok, target, o] of cases) {
    const plan = () => makeWindowsPlan(target, { ...CAPS, ...o }, STRICT);
    if (ok) {
      assert.notEqual(plan().level, "weak");
      continue;
    }
    assert.throws(plan, (error) => {
      assert.ok(error instanceof SecLlamaError && error.code === "sandbox-unavailable");
      assert.match(error.message, /no AppContainer/);
      assert.match(error.hint ?? "", /run as Administrator/);
      if (!o.elevated && target === TARGET) {
        assert.match(error.message, /Access denied when creating firewall rules/);
      }
      return true;
    });
    const weak = makeWindowsPlan(target, { ...CAPS, ...o }, WEAK);
    assert.equal(weak.level, "weak");
    assert.match(weak.warnings.join(), /no AppContainer.*no firewall rules/);
    assert.equal(weak.firewall, null);
  }
});

Deno.test("the gateway is never bound by the runner's rule, and a rule alone is not called full", () => {
  assert.equal(makeWindowsPlan(SHARED, CAPS, STRICT).firewall, null);
  const alone = makeWindowsPlan(TARGET, { ...CAPS, appContainer: false }, STRICT);
  assert.equal(alone.level, "reduced");
  assert.match(alone.warnings.join(), /read your files.*loopback/);
});

Deno.test("off runs the target itself and says so", () => {
  const plan = makeWindowsPlan(TARGET, CAPS, "off");
  assert.equal(plan.argv[0], TARGET.executable);
  assert.equal(plan.level, "none");
  assert.match(plan.warnings.join(), /disabled by the operator/);
  assert.ok(plan.layers.every((layer) => !layer.planned));
});

Deno.test("paths are plain drive paths among those given; names cannot carry script", () => {
  const { pathMap } = makeWindowsPlan(TARGET, CAPS, STRICT);
  assert.equal(pathMap(MODEL), MODEL);
  for (const path of [MODEL + "1", `${APP}\\libs\\..\\x`, "C:\\Users", "/etc", "\\\\host\\x"]) {
    assert.throws(() => pathMap(path), RangeError, path);
  }
  for (
    const path of ["\\\\host\\share\\m", "relative", "C:\\a\\..\\b", 'C:\\a"b', "C:\\a:stream"]
  ) {
    const target = { ...TARGET, args: [], readOnly: [path] };
    assert.throws(() => makeWindowsPlan(target, CAPS, STRICT), RangeError, path);
  }
  for (const instance of ["", "1'; calc", "a b", "x".repeat(17)]) {
    assert.throws(() => makeWindowsPlan(TARGET, { ...CAPS, instance }, STRICT), RangeError);
  }
});

// --- the rules' life

const COMMANDS = makeWindowsPlan(TARGET, CAPS, STRICT).firewall!;

function readBack(o: { program?: string; rule?: object; off?: string } = {}) {
  const rule = {
    action: "Block",
    enabled: "True",
    profile: "Any",
    program: o.program ?? TARGET.executable.toUpperCase(),
    remote: "Any",
    protocol: "Any",
    ...o.rule,
  };
  return JSON.stringify({
    rules: [{ direction: "Outbound", ...rule }, { direction: "Inbound", ...rule }],
    profiles: ["Domain", "Private", "Public"]
      .map((name) => ({ name, enabled: name === o.off ? "False" : "True" })),
  });
}

/** A fake Windows: records each command and knows whether the rules are there. */
class FakeWindows {
  readonly steps: string[] = [];
  rules = 0;
  constructor(
    readonly o: { refuseAdd?: number; output?: string; readCode?: number; refuseRemove?: boolean } =
      {},
  ) {}
  readonly run = (argv: readonly string[]): Promise<RunResult> => {
    const result = (code: number, stdout = "") => Promise.resolve({ code, stdout, stderr: "" });
    if (argv === COMMANDS.remove) {
      this.steps.push("remove");
      if (this.rules === 0 || this.o.refuseRemove) return result(1);
      this.rules = 0;
      return result(0);
    }
    if (argv === COMMANDS.readBack) {
      this.steps.push("read back");
      return result(this.o.readCode ?? 0, this.o.output ?? readBack());
    }
    assert.ok(COMMANDS.add.includes(argv));
    this.steps.push(argv.find((arg) => arg.startsWith("dir="))!);
    if (this.rules === this.o.refuseAdd) return result(1);
    this.rules++;
    return result(0);
  };
}

/** The rules around the life of a runner, as the gateway has them around its own. */
async function withFirewallRules<T>(
  commands: typeof COMMANDS,
  run: Run,
  use: () => Promise<T>,
): Promise<T> {
  await addFirewallRules(commands, run);
  try {
    return await use();
  } finally {
    await removeFirewallRules(commands, run);
  }
}

Deno.test("the commands bind the runner's executable, in both directions, by absolute programs", () => {
  assert.equal(COMMANDS.add.length, 2);
  for (const [i, argv] of COMMANDS.add.entries()) {
    assert.equal(argv[0], "C:\\Windows\\System32\\netsh.exe");
    assert.ok(argv.includes(`program=${TARGET.executable}`));
    assert.ok(argv.includes(`dir=${["out", "in"][i]}`));
    assert.ok(argv.includes("action=block") && argv.includes("enable=yes"));
    assert.ok(argv.includes("profile=any"));
    assert.ok(argv.includes(`name=${COMMANDS.rule}`));
  }
  assert.deepEqual(COMMANDS.remove.slice(-1), [`name=${COMMANDS.rule}`]);
  assert.match(COMMANDS.readBack.at(-1)!, /-PolicyStore ActiveStore/);
  assert.doesNotMatch(COMMANDS.readBack.at(-1)!, /"/, "no quoting to get wrong");
});

Deno.test("rules are added and verified before the runner, and removed after it", async () => {
  const fake = new FakeWindows();
  const value = await withFirewallRules(COMMANDS, fake.run, () => {
    assert.equal(fake.rules, 2);
    fake.steps.push("use");
    return Promise.resolve(7);
  });
  assert.equal(value, 7);
  assert.deepEqual(fake.steps, ["remove", "dir=out", "dir=in", "read back", "use", "remove"]);
  assert.equal(fake.rules, 0);
});

Deno.test("a runner that fails takes the rules with it", async () => {
  const fake = new FakeWindows();
  const boom = () => Promise.reject(new Error("runner died"));
  await assert.rejects(withFirewallRules(COMMANDS, fake.run, boom), /runner died/);
  assert.equal(fake.steps.at(-1), "remove");
  assert.equal(fake.rules, 0);
});

Deno.test("without the right to add rules: the known text and hint, and no half left behind", async () => {
  for (const refuseAdd of [0, 1]) {
    const fake = new FakeWindows({ refuseAdd });
    await assert.rejects(withFirewallRules(COMMANDS, fake.run, never), (error) => {
      assert.ok(error instanceof SecLlamaError && error.code === "sandbox-unavailable");
      assert.match(error.message, /^Access denied when creating firewall rules/);
      assert.equal(error.hint, "run as Administrator");
      return true;
    });
    assert.equal(fake.rules, 0);
  }
});

Deno.test("a rule that is not in effect stops the runner from starting", async () => {
  const outputs = [
    "",
    "null",
    "[]",
    '{"rules":[],"profiles":[]}',
    '{"rules":[null],"profiles":[null]}',
    readBack({ program: "C:\\Windows\\notepad.exe" }),
    readBack({ rule: { action: "Allow" } }),
    readBack({ rule: { enabled: "False" } }),
    readBack({ rule: { profile: "Public" } }),
    readBack({ rule: { remote: "10.0.0.1" } }),
    readBack({ rule: { protocol: "TCP" } }),
    readBack({ rule: { direction: "Inbound" } }),
    readBack({ off: "Public" }),
  ];
  for (const output of outputs) {
    assert.notDeepEqual(firewallShortcomings(COMMANDS, output), [], output);
    const fake = new FakeWindows({ output });
    await assert.rejects(withFirewallRules(COMMANDS, fake.run, never), { code: "sandbox-failed" });
    assert.equal(fake.rules, 0);
  }
  assert.deepEqual(firewallShortcomings(COMMANDS, readBack()), []);
  const fake = new FakeWindows({ readCode: 1 });
  await assert.rejects(withFirewallRules(COMMANDS, fake.run, never), /could not be read back/);
});

Deno.test("a rule that cannot be removed is reported with the command that removes it", async () => {
  const fake = new FakeWindows({ refuseRemove: true });
  await assert.rejects(withFirewallRules(COMMANDS, fake.run, () => Promise.resolve()), (error) => {
    assert.ok(error instanceof SecLlamaError && error.code === "sandbox-failed");
    assert.match(error.hint ?? "", new RegExp(`name=${COMMANDS.rule}`));
    return true;
  });
});

function never(): Promise<void> {
  assert.fail("the runner must not start");
}
