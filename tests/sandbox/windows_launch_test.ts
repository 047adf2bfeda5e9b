/**
 * The Windows launcher and the gateway's reading, against a fake at the FFI boundary (src/windows/fake_windows.ts): which calls,
 * with what, in which order, and that whatever is refused leaves no runner. What Windows makes of them has not been seen.
 */
import assert from "node:assert/strict";
import { makeContainer, removeContainer } from "../../src/sandbox/windows/app_container.ts";
import { launch } from "../../src/sandbox/windows/launch.ts";
import type { RunResult } from "../../src/sandbox/windows/firewall.ts";
import type { WindowsPlan } from "../../src/sandbox/windows/plan.ts";
import { windowsPlatform } from "../../src/sandbox/windows/platform.ts";
import type { RunnerTarget } from "../../src/sandbox/types.ts";
import { FAKE, type FakeOptions, FakeWindows } from "../../src/windows/fake_windows.ts";
import { jobReport } from "../../src/windows/job_report.ts";
import { attackByWindows, type Winsock } from "../../src/escape/windows.ts";

const STRICT = "strict";
const APP = "C:\\Program Files\\SecLlama";
const MODEL = "C:\\Users\\user\\SecLlama\\models\\blobs\\sha256-00";
const TARGET: RunnerTarget = {
  executable: `${APP}\\secllama-lib\\secllama-runner.exe`,
  args: ["--x"],
  readOnly: [`${APP}\\secllama-lib\\lib`, MODEL],
  gpu: "none",
  memory: { privateBytes: 8 * 2 ** 30, groupBytes: 9 * 2 ** 30 },
};
const LAUNCHER = { executable: `${APP}\\secllama.exe`, args: ["launch-runner"] };

const readBack = JSON.stringify({
  rules: ["Outbound", "Inbound"].map((direction) => ({
    direction,
    action: "Block",
    enabled: "True",
    profile: "Any",
    program: TARGET.executable,
    remote: "Any",
    protocol: "Any",
  })),
  profiles: ["Domain", "Private", "Public"].map((name) => ({ name, enabled: "True" })),
});

/** A fake machine: the firewall's commands are among the recorded calls. */
function machine(options: FakeOptions & { rules?: string } = {}) {
  const fake = new FakeWindows(options);
  const run = (argv: readonly string[]): Promise<RunResult> => {
    const what = argv[0]!.endsWith("powershell.exe") ? "read back" : argv[3];
    fake.calls.push(`firewall ${what}`);
    return Promise.resolve({ code: 0, stdout: options.rules ?? readBack, stderr: "" });
  };
  const platform = windowsPlatform({ launcher: LAUNCHER, api: fake.api, run });
  fake.calls.length = 0; // what probing did
  const confinement = platform.plan(TARGET, STRICT);
  /** The launcher's program is not on this machine; what comes before it has been done by then. */
  const start = () => assert.rejects(confinement.start(), Deno.errors.NotFound);
  return { fake, platform, confinement, start, plan: confinement.plan as WindowsPlan };
}

const index = (calls: string[], name: string) => {
  const at = calls.findIndex((call) => call.startsWith(name));
  assert.notEqual(at, -1, `${name} was not called`);
  return at;
};

Deno.test("Windows (fake FFI): rule, job, container, process, checks, and only then it runs", async () => {
  const { fake, platform, plan, start } = machine({ elevated: true, exitCode: 7 });
  assert.equal(plan.level, "full");
  await start();
  assert.equal(await launch(plan.launch!, fake.api), 7);
  const order = [
    "firewall add",
    "firewall read back",
    "CreateJobObjectW",
    "SetInformationJobObject",
    "QueryInformationJobObject",
    "CreateAppContainerProfile SecLlama.Runner.",
    `SetNamedSecurityInfoW ${MODEL}`,
    "UpdateProcThreadAttribute 0x2000d", // JOB_LIST: in the job from its first instruction
    "CreateProcessW",
    "IsProcessInJob the job",
    "GetTokenInformation 29",
    "GetTokenInformation 30",
    "ResumeThread",
    "WaitForSingleObject",
  ].map((name) => index(fake.calls, name));
  assert.deepEqual(order, order.toSorted((a, b) => a - b), fake.calls.join("\n"));
  assert.ok(fake.running && !fake.killed);
  assert.deepEqual(Object.fromEntries(fake.granted), {
    [TARGET.executable]: 0x1200A9,
    [TARGET.readOnly[0]!]: 0x1200A9,
    [MODEL]: 0x120089,
  });
  assert.deepEqual(await platform.close(), []);
  assert.equal(fake.calls.at(-1), "firewall delete");
  assert.equal(fake.granted.size, 0);
  assert.equal(fake.profiles, 0);
});

Deno.test("Windows (fake FFI): the process is given its three handles, its job and its container", async () => {
  const { fake, plan } = machine();
  await launch(plan.launch!, fake.api);
  const pointers = (key: bigint) => [...new BigUint64Array(fake.attributes.get(key)!.buffer)];
  assert.deepEqual(pointers(0x20002n), [10n, 11n, 12n]);
  assert.deepEqual(pointers(0x2000dn), [FAKE.job]);
  assert.deepEqual([...new Uint32Array(fake.attributes.get(0x2000en)!.buffer)], [1]);
  assert.deepEqual(pointers(0x20009n), [FAKE.sid, 0n, 0n]);
  const { program, line, flags, env, folder } = fake.created!;
  assert.equal(program, TARGET.executable);
  assert.equal(line, `"${TARGET.executable}" --x`);
  assert.equal(flags, 0x8080404);
  assert.match(env, /^DENO_DIR=NUL\\deno\0.*SystemRoot=C:\\Windows\0\0$/);
  assert.equal(folder, "C:\\Windows");
});

Deno.test("Windows (fake FFI): whatever is refused or did not take, the runner never runs", async () => {
  const cases: [FakeOptions, started: boolean][] = [
    ...[
      "CreateJobObjectW",
      "SetInformationJobObject",
      "QueryInformationJobObject",
      "GetNamedSecurityInfoW",
      "SetEntriesInAclW",
      "SetNamedSecurityInfoW",
      "SetHandleInformation",
      "InitializeProcThreadAttributeList",
      "UpdateProcThreadAttribute",
      "CreateProcessW",
    ].map((name): [FakeOptions, boolean] => [{ refuse: [name] }, false]),
    [{ jobFlags: 0x2000 }, false],
    [{ refuse: ["IsProcessInJob"] }, true],
    [{ refuse: ["OpenProcessToken"] }, true],
    [{ refuse: ["GetTokenInformation"] }, true],
    [{ refuse: ["ResumeThread"] }, true],
    [{ inJob: false }, true],
    [{ inContainer: false }, true],
    [{ capabilities: 1 }, true],
  ];
  const { plan } = machine();
  for (const [options, started] of cases) {
    const fake = new FakeWindows(options);
    await assert.rejects(launch(plan.launch!, fake.api), { name: "WindowsError" });
    const what = JSON.stringify(options);
    assert.ok(!fake.running, what);
    assert.equal(fake.killed, started, what);
    if (started) assert.ok(fake.calls.includes(`CloseHandle ${FAKE.job}`), what);
  }
});

Deno.test("Windows (fake FFI): rules that are not in effect stop the gateway before any runner", async () => {
  const { fake, confinement } = machine({ elevated: true, rules: '{"rules":[],"profiles":[]}' });
  await assert.rejects(confinement.start(), { code: "sandbox-failed", message: /firewall/ });
  assert.equal(fake.calls.at(-1), "firewall delete");
});

Deno.test("Windows (fake FFI): a profile that a killed gateway left is used again", async () => {
  const { plan } = machine();
  const fake = new FakeWindows({ profileExists: true });
  await launch(plan.launch!, fake.api);
  index(fake.calls, "DeriveAppContainerSidFromAppContainerName");
});

Deno.test("Windows (fake FFI): orders of another system are refused", async () => {
  const orders = { version: 1, os: "linux" } as unknown as WindowsPlan["launch"];
  await assert.rejects(launch(orders!, new FakeWindows().api), TypeError);
});

Deno.test("Windows (fake FFI): without an AppContainer strict refuses unless elevated", () => {
  const refuse = ["CreateAppContainerProfile"];
  assert.throws(() => machine({ refuse }), {
    code: "sandbox-unavailable",
    hint: /run as Administrator/,
  });
  assert.equal(machine({ refuse, elevated: true }).plan.level, "reduced");
});

Deno.test("Windows (fake FFI): the runner is the launcher's only child", () => {
  const found = (...processes: [number, number][]) => {
    return machine({ processes }).confinement.findRunner(10);
  };
  assert.equal(found([4, 0], [10, 4], [11, 10], [12, 4]), 11);
  assert.equal(found([10, 4]), undefined);
  assert.equal(found([11, 10], [12, 10]), undefined);
});

Deno.test("Windows (fake FFI): what cannot be taken back is named, and the rest is taken back", async () => {
  const { fake, platform, plan, start } = machine({
    elevated: true,
    refuse: ["DeleteAppContainerProfile"],
  });
  // The probe's own profile could not be deleted either, so containers are not used.
  assert.equal(plan.launch!.appContainer, null);
  await start();
  assert.deepEqual(await platform.close(), []);
  const stubborn = new FakeWindows({ refuse: ["DeleteAppContainerProfile"] });
  const container = machine().plan.launch!.appContainer!;
  makeContainer(stubborn.api, container);
  const left = removeContainer(stubborn.api, container);
  assert.equal(left.length, 1);
  assert.match(left[0]!, /DeleteAppContainerProfile/);
  assert.equal(stubborn.granted.size, 0);
  assert.equal(fake.calls.at(-1), "firewall delete");
});

const OWN = ["limits", "dies with the gateway"].map((layer) => ({
  layer,
  enforced: true,
  observed: "",
}));

Deno.test("Windows (fake FFI): each layer that is missing or unreadable counts against the runner", async () => {
  const judge = async (options: FakeOptions, own: typeof OWN = OWN) => {
    const { confinement, start } = machine({ elevated: true, ...options });
    await start();
    return confinement.judge(confinement.measure(11), own);
  };
  assert.deepEqual(await judge({}), []);
  const cases: [FakeOptions, RegExp][] = [
    [{ inContainer: false }, /^appcontainer: missing/],
    [{ capabilities: 1 }, /^appcontainer: missing/],
    [{ inJob: false }, /^job: missing/],
    [{ childPolicy: 0 }, /^no child process: missing/],
    [{ refuse: ["GetProcessMitigationPolicy"] }, /^no child process: unreadable/],
  ];
  for (const [options, problem] of cases) {
    const problems = await judge(options);
    assert.equal(problems.length, 1, problems.join());
    assert.match(problems[0]!, problem);
  }
  assert.equal((await judge({ refuse: ["OpenProcess"] })).length, 4);
  assert.deepEqual(await judge({}, []), [
    "limits: not reported",
    "dies with the gateway: not reported",
  ]);
  const { confinement } = machine({ elevated: true });
  const rules = confinement.measure(11).find(({ layer }) => layer === "firewall");
  assert.equal(rules?.state, "missing", "rules that were never added");
});

Deno.test("Windows (fake FFI): the runner reports its job's limits as they are", async () => {
  const { plan } = machine();
  const fake = new FakeWindows();
  await launch(plan.launch!, fake.api);
  assert.deepEqual(jobReport(fake.api).map((l) => l.enforced), [true, true]);
  const none = jobReport(new FakeWindows().api);
  assert.deepEqual(none.map((l) => l.enforced), [false, false]);
  const broken = jobReport(new FakeWindows({ refuse: ["QueryInformationJobObject"] }).api);
  assert.deepEqual(broken.map((l) => l.enforced), [false, false]);
});

/** A fake ws2_32: `answer` is the error of connect and of the wait for it. */
function fakeWinsock(o: { start?: number; connect?: number; late?: number; send?: number }) {
  const seen: string[] = [];
  let error = 0;
  const fail = (code: number) => (error = code, -1);
  const winsock: Winsock = {
    WSAStartup: () => o.start ?? 0,
    WSAGetLastError: () => error,
    WSAPoll: () => o.late === undefined ? 0 : 1,
    socket: (family, type) => (seen.push(`socket ${family} ${type}`), 9n),
    connect: (_socket, address) => {
      seen.push(`connect ${[...(address as Uint8Array).subarray(0, 8)]}`);
      return o.connect === 0 ? 0 : fail(o.connect ?? 10013);
    },
    sendto: () => o.send === 0 ? 8 : fail(o.send ?? 10013),
    ioctlsocket: () => 0,
    getsockopt: (_socket, _level, _name, value) => {
      new DataView((value as Uint8Array).buffer as ArrayBuffer).setInt32(0, o.late ?? 0, true);
      return 0;
    },
    closesocket: () => 0,
  };
  return { winsock, seen };
}

Deno.test("Windows (fake Winsock): what is refused, dropped, let through or never tried is told apart", () => {
  const targets = { tcp4: 0x1234, tcp6: 5, udp: 6, pathStream: null };
  const tried = (o: Parameters<typeof fakeWinsock>[0]) => {
    const { winsock, seen } = fakeWinsock(o);
    return { seen, results: attackByWindows(winsock, targets) };
  };
  const refused = tried({});
  assert.deepEqual(refused.results.map((r) => [r.target, r.outcome, r.errno]), [
    ["tcp4", "blocked", "WSA 10013"],
    ["tcp6", "blocked", "WSA 10013"],
    ["udp", "blocked", "WSA 10013"],
  ]);
  assert.deepEqual(refused.seen.slice(0, 2), ["socket 2 1", "connect 2,0,18,52,127,0,0,1"]);
  assert.equal(tried({ connect: 10035 }).results[0]!.errno, "WSA 10060", "dropped in silence");
  assert.equal(tried({ connect: 10035, late: 10013 }).results[0]!.outcome, "blocked");
  assert.equal(tried({ connect: 10035, late: 0 }).results[0]!.outcome, "out");
  assert.deepEqual(
    tried({ connect: 0, send: 0 }).results.map((r) => r.outcome),
    ["out", "out", "out"],
  );
  assert.ok(tried({ start: 10091 }).results.every((r) => r.outcome === "not run"));
});
