/** Plans are pure: for given capabilities they are compared with golden files (SECLLAMA_UPDATE_GOLDEN=1 rewrites them). */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import type { Capabilities } from "../../src/sandbox/linux/capabilities.ts";
import { type LinuxPlan, makeLinuxPlan } from "../../src/sandbox/linux/plan.ts";
import { printSteps } from "../../src/linux/testing_steps.ts";
import { launchSteps, startSteps } from "../../src/sandbox/linux/launch_steps.ts";
import type { LaunchHost } from "../../src/sandbox/linux/process_steps.ts";
import { BASE_POLICY, GPU_POLICIES } from "../../src/sandbox/linux/policy.ts";
import type { Companion, Gpu } from "../../src/sandbox/types.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";

const STRICT = "strict";
const MODEL = "/home/user/.local/share/secllama/models/blobs/sha256-00";
const TARGET = runnerTarget({
  deno: "/home/user/.deno/bin/deno",
  runner: "/home/user/secllama/build/runner.js",
  libDir: "/home/user/secllama/libs",
}, MODEL);

const COMPANION: Companion = {
  kind: "llama-server",
  executable: "/opt/llama.cpp/llama-server",
  args: ["--host", "/run/engine/engine.sock", "-m", { path: MODEL }],
  readOnly: ["/opt/llama.cpp/libllama.so.0", "/lib/x86_64-linux-gnu/libc.so.6"],
  shared: [MODEL],
};
const MEMORY = { memory: { privateBytes: 12 * 2 ** 30, groupBytes: 13 * 2 ** 30 } };
const OFF = { usable: false, privateRoot: false, reason: "unshare failed: EPERM" };

function capabilities(o: Partial<Capabilities> = {}): Capabilities {
  const triplet = `${o.arch ?? "x86_64"}-linux-gnu`;
  return {
    os: "linux",
    arch: "x86_64",
    uid: 1000,
    kernel: "6.12.0",
    unshare: "/usr/bin/unshare",
    namespaces: { usable: true, privateRoot: true, reason: "" },
    hostNamespaces: {
      user: "user:[1]",
      net: "net:[2]",
      ipc: "ipc:[3]",
      uts: "uts:[4]",
      cgroup: "cgroup:[5]",
      pid: "pid:[6]",
      mount: "mnt:[7]",
    },
    landlockAbi: 6,
    landlockReason: "",
    surroundings: { uid: o.uid ?? 1000, container: false, sysAdmin: o.uid === 0, forbids: "" },
    cgroup: {
      places: [],
      reason: "memory and pids: no hierarchy in which this process may make groups",
    },
    seccomp: true,
    libraries: [
      o.arch === "aarch64" ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2",
      ...[...BASE_POLICY.libraries, "libcuda.so.1", "libvulkan.so.1"]
        .map((name) => `/lib/${triplet}/${name}`),
    ],
    files: [
      ...BASE_POLICY.files.map((file) => file.path),
      "/dev/nvidiactl",
      "/dev/nvidia0",
      "/dev/nvidia-uvm",
      "/proc/driver/nvidia",
      "/dev/kfd",
      "/dev/dri/renderD128",
      "/sys/class/drm",
    ],
    memoryBytes: 16 * 2 ** 30,
    ...o,
  };
}

function print(plan: LinuxPlan): string {
  return [
    `policy ${plan.policy} · level ${plan.level} · forks ${plan.forks}`,
    ...plan.warnings.map((warning) => `warning: ${warning}`),
    "",
    "argv",
    ...plan.argv.map((arg) => `  ${arg}`),
    "",
    "environment",
    ...Object.entries(plan.env).map(([name, value]) => `  ${name}=${value}`),
    "",
    "layers",
    ...plan.layers.map((l) => `  ${l.planned ? "+" : "-"} ${l.layer}: ${l.detail}`),
    "",
    "starter",
    ...printSteps(startSteps({
      launcherFd: 30,
      groups: (plan.launch!.cgroup?.places ?? []).map((p) => `${p.folder}/secllama-1-2-3`),
      argv: plan.argv.slice(1),
      env: plan.env,
    })).split("\n").map((line) => `  ${line}`),
    "",
    "launcher",
    ...printSteps(launchSteps(plan.launch!, HOST)).split("\n").map((line) => `  ${line}`),
    "",
  ].join("\n");
}

/** The machine that the golden plans are for. Of the paths that are not known by name, those with a suffix are files. */
const HOST: LaunchHost = {
  arch: "x86_64",
  lastCapability: 40,
  nofile: { soft: 1024n, hard: 1048576n },
  isDirectory: (path) =>
    !/[.-]/.test(path.slice(path.lastIndexOf("/"))) && !/^\/dev\/|info$|stat$|deno$/.test(path),
};

const GOLDEN: Record<string, Partial<Capabilities> & { gpu?: Gpu; companion?: Companion }> = {
  "user-full": {},
  "user-engine": { companion: COMPANION },
  "root-engine": { uid: 0, companion: COMPANION },
  "root-full": { uid: 0 },
  "user-fallback": { namespaces: OFF },
  "root-fallback": { uid: 0, namespaces: OFF },
  "user-no-landlock": { landlockAbi: 0, landlockReason: "EOPNOTSUPP" },
  "user-no-private-root": { namespaces: { usable: true, privateRoot: false, reason: "" } },
  "user-cgroup-v2": {
    cgroup: {
      places: [{
        version: 2,
        folder: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice",
        controllers: ["memory", "pids"],
      }],
      reason: "",
    },
  },
  "root-cgroup-v1": {
    uid: 0,
    cgroup: {
      places: [
        { version: 1, folder: "/sys/fs/cgroup/memory/own", controllers: ["memory"] },
        { version: 1, folder: "/sys/fs/cgroup/pids", controllers: ["pids"] },
      ],
      reason: "",
    },
  },
  "aarch64-full": { arch: "aarch64" },
  "nvidia": { gpu: "nvidia" },
  "amd": { gpu: "amd" },
  "intel": { gpu: "intel" },
};

for (const [name, { gpu = "none", companion, ...o }] of Object.entries(GOLDEN)) {
  Deno.test(`the plan ${name} is the golden one`, async () => {
    const target = { ...TARGET, gpu, ...MEMORY, ...(companion ? { companion } : {}) };
    const text = print(makeLinuxPlan(target, capabilities(o), STRICT));
    const path = new URL(`../golden/sandbox/linux-${name}.txt`, import.meta.url);
    if (Deno.env.get("SECLLAMA_UPDATE_GOLDEN")) await Deno.writeTextFile(path, text);
    assert.equal(text, await Deno.readTextFile(path));
  });
}

Deno.test("a file that is named as several things is given to the runner once", () => {
  const files = {
    deno: "/deno",
    runner: "/runner.js",
    libDir: "/libs",
    visionLibrary: "/vision/libmtmd.so",
  };
  for (
    const needs of [
      { projectorPath: MODEL },
      { adapterPaths: ["/adapter", "/adapter"] },
      { adapterPaths: [MODEL, "/projector"], projectorPath: "/projector" },
    ]
  ) {
    for (const o of [{}, { namespaces: OFF }, { uid: 0, namespaces: OFF }]) {
      const plan = makeLinuxPlan(
        { ...runnerTarget(files, MODEL, needs), ...MEMORY },
        capabilities(o),
        STRICT,
      );
      const places = plan.launch!.root?.binds.map(({ to }) => to) ??
        plan.launch!.landlock!.rules.map(({ path }) => path);
      assert.equal(new Set(places).size, places.length, places.join(" "));
    }
  }
});

Deno.test("strict needs seccomp, and Landlock or a private root; anything less is refused", () => {
  const bare = { usable: true, privateRoot: false, reason: "" };
  const cases: [boolean, Partial<Capabilities>][] = [
    [true, {}],
    [true, { landlockAbi: 0 }],
    [true, { namespaces: OFF }],
    [false, { seccomp: false }],
    [false, { landlockAbi: 0, namespaces: OFF }],
    [false, { landlockAbi: 0, namespaces: bare }],
    [false, { seccomp: false, landlockAbi: 0, namespaces: OFF }],
  ];
  for (const [meets, o] of cases) {
    const plan = () => makeLinuxPlan(TARGET, capabilities(o), STRICT);
    if (meets) assert.notEqual(plan().level, "weak", JSON.stringify(o));
    else {
      assert.throws(plan, (error) => {
        assert.ok(error instanceof SecLlamaError && error.code === "sandbox-unavailable");
        assert.match(error.message, /^failed to apply sandbox: /);
        assert.match(error.hint ?? "", /Landlock|CONFIG_SECCOMP_FILTER/);
        return true;
      });
      const weak = makeLinuxPlan(TARGET, capabilities(o), "best-effort");
      assert.equal(weak.level, "weak");
      assert.ok(weak.warnings.length > 0, "a weaker plan says what it lacks");
    }
  }
});

Deno.test("without the sandbox the target runs directly, and the plan says so", () => {
  const plan = makeLinuxPlan(TARGET, capabilities(), "off");
  assert.equal(plan.argv[0], TARGET.executable);
  assert.equal(plan.level, "none");
  assert.match(plan.warnings.join(), /disabled by the operator/);
  assert.ok(plan.layers.every((layer) => !layer.planned));
});

Deno.test("paths are translated into the private root, and no other path is known", () => {
  const plan = makeLinuxPlan(TARGET, capabilities(), STRICT);
  assert.equal(plan.pathMap(MODEL), "/app/2/sha256-00");
  assert.equal(plan.pathMap("/home/user/secllama/libs/a.so"), "/app/1/libs/a.so");
  for (const path of ["/home/user/.ssh/id_ed25519", "/home/user/secllama/libs/../x", MODEL + "1"]) {
    assert.throws(() => plan.pathMap(path), RangeError, path);
  }
  assert.ok(!JSON.stringify(plan.launch!.exec).includes("/home/"), "the host's paths do not leak");
  const here = makeLinuxPlan(TARGET, capabilities({ namespaces: OFF }), STRICT);
  assert.equal(here.pathMap(MODEL), MODEL);
});

Deno.test("root never keeps its id and never maps itself in a user namespace", () => {
  for (const namespaces of [OFF, { usable: true, privateRoot: true, reason: "" }]) {
    const plan = makeLinuxPlan(TARGET, capabilities({ uid: 0, namespaces }), STRICT);
    assert.equal(plan.launch!.user, BASE_POLICY.uid);
    assert.ok(!plan.argv.includes("--map-current-user"));
  }
});

Deno.test("a GPU adds device nodes and never a network, a card node or another kind's nodes", () => {
  for (const gpu of ["nvidia", "amd", "intel"] as const) {
    const plan = makeLinuxPlan({ ...TARGET, gpu }, capabilities(), STRICT);
    const devices = plan.launch!.root!.binds.filter((b) => b.kind === "device").map((b) => b.to);
    assert.ok(devices.length > 2, gpu);
    assert.ok(plan.argv.includes("--net"), gpu);
    assert.ok(!devices.some((path) => path.includes("card")), gpu);
    assert.equal(devices.some((path) => path.includes("nvidia")), gpu === "nvidia");
    assert.match(GPU_POLICIES[gpu].description, /[Nn]ot measured/);
  }
});
