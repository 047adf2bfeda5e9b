/**
 * GPUs, without one: how one is found and chosen, and that one which fails inside the sandbox means the processor in the same
 * strict sandbox. The device nodes are fakes (ordinary files, in a mount namespace), and so are the GPU library and the GPU of
 * tests/e2e/fake_gpu_main.ts. A real GPU has not been run.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SecLlamaError } from "../../src/errors.ts";
import type { GpuSetting } from "../../src/config/config.ts";
import { findGpus } from "../../src/sandbox/linux/gpu.ts";
import { GPU_POLICIES } from "../../src/sandbox/linux/policy.ts";
import { type Gpu, openPlatform } from "../../src/sandbox/mod.ts";
import { backendsIn, chooseGpu, mayBeTheGpu } from "../../src/supervisor/gpu.ts";
import { libraryFolder } from "../../runner/engine/testing.ts";
import { attackAll, ATTACKER_MEMORY } from "../../src/escape/run/all_attacks.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import { until } from "../support/patience.ts";
import { chat, cli, newHome, ROOT, startServe } from "../support/serve.ts";
import { notOn } from "../support/systems.ts";

Deno.test("GPUs are found by device nodes, render nodes by their vendor", () => {
  const vendors: Record<string, string> = { renderD128: "0x8086", renderD129: "0x1002" };
  const find = (...files: string[]) => findGpus(files, (node) => vendors[node]);
  assert.deepEqual(find(), []);
  assert.deepEqual(find("/dev/nvidiactl", "/dev/nvidia0"), ["nvidia"]);
  assert.deepEqual(find("/dev/nvidiactl"), [], "a driver without a card");
  assert.deepEqual(find("/dev/dri/renderD128"), ["intel"]);
  assert.deepEqual(find("/dev/dri/renderD128", "/dev/dri/renderD129"), ["amd", "intel"]);
  assert.deepEqual(find("/dev/dri/renderD130"), [], "a vendor that cannot be read");
  assert.deepEqual(find("/dev/dri/card0"), []);
  vendors["renderD130"] = "0x10de";
  assert.deepEqual(find("/dev/dri/renderD130"), [], "nouveau has no policy");
  for (const policy of Object.values(GPU_POLICIES)) {
    assert.ok(!policy.devices.some((path) => /card/.test(path)));
  }
});

Deno.test("the GPU is one that is there, that a backend drives, and only inside the sandbox", () => {
  type Case = [
    GpuSetting,
    Exclude<Gpu, "none">[],
    ("cuda" | "vulkan" | "metal")[],
    Gpu | null,
  ];
  const cases: Case[] = [
    ["auto", [], ["cuda"], "none"],
    ["auto", ["nvidia"], [], "none"],
    ["auto", ["nvidia"], ["cuda"], "nvidia"],
    ["auto", ["amd", "intel"], ["vulkan"], "amd"],
    ["auto", ["amd"], ["cuda"], "none"],
    ["auto", ["metal"], ["metal"], "metal"],
    ["off", ["nvidia"], ["cuda"], "none"],
    ["intel", ["amd", "intel"], ["vulkan"], "intel"],
    ["intel", ["amd"], ["vulkan"], null],
    ["nvidia", ["nvidia"], [], null],
    ["metal", ["nvidia"], ["cuda"], null],
  ];
  for (const [setting, found, backends, wanted] of cases) {
    const choose = (sandbox: boolean) => chooseGpu(setting, { sandbox, found, backends });
    if (wanted === null) {
      assert.throws(() => choose(true), { code: "bad-config" }, setting);
      continue;
    }
    const choice = choose(true);
    assert.equal(choice.used, wanted, `${setting} ${found} ${backends}`);
    assert.equal(choice.status().reason === "", wanted !== "none");
    if (setting === "auto" || setting === "off") assert.equal(choose(false).used, "none");
    else assert.throws(() => choose(false), { code: "bad-config", message: /sandbox is off/ });
  }
});

Deno.test("a breach is never taken for a GPU's fault", () => {
  assert.ok(mayBeTheGpu(new SecLlamaError("model-failed", "")));
  assert.ok(mayBeTheGpu(new SecLlamaError("runner-died", "")));
  assert.ok(!mayBeTheGpu(new SecLlamaError("sandbox-breached", "")));
  assert.ok(!mayBeTheGpu(new Error()));
});

/** A new /dev with this machine's usual nodes and two fake NVIDIA ones, then the rest of the arguments. */
const WITH_FAKE_NODES = `
set -e
new=$(mktemp -d)
mount -t tmpfs tmpfs "$new"
for n in null zero full random urandom tty; do touch "$new/$n"; mount --bind /dev/$n "$new/$n"; done
mkdir "$new/shm"; mount --rbind /dev/shm "$new/shm"
ln -s /proc/self/fd "$new/fd"
touch "$new/nvidiactl" "$new/nvidia0"
mount --move "$new" /dev
rmdir "$new"
exec "$@"`;

/** What a folder of GPU libraries looks like; each file is a text. */
async function fakeLibraries(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-gpu-" });
  await Deno.chmod(folder, 0o755);
  for (const name of ["libggml-vulkan.so", "libllama.vulkan.v0.4.0.so"]) {
    await Deno.writeTextFile(join(folder, name), "not a library");
  }
  return folder;
}

const rootLinux = Deno.build.os === "linux" && Deno.build.arch === "x86_64" && Deno.uid() === 0;
if (!rootLinux) console.log("SKIP a GPU that fails: fake device nodes need root on x86-64 Linux");

Deno.test({
  name: "a GPU that fails inside the sandbox means the processor, as strictly confined, and shows",
  ignore: !rootLinux,
  async fn() {
    const libraries = await fakeLibraries();
    assert.deepEqual(await backendsIn(libraries), ["vulkan"]);
    const served = await startServe({
      args: ["--ephemeral", `--gpu-libraries=${libraries}`],
      under: ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", WITH_FAKE_NODES, "sh"],
    });
    try {
      // The runner for the GPU was started, and said from inside what is wrong with its library.
      assert.match(served.banner, /gpu +none: the nvidia GPU failed inside the sandbox: .*SHA-256/);
      assert.match(served.stderr(), /"event":"gpu-failed","gpu":"nvidia","code":"model-failed"/);
      assert.match(served.banner, /isolation +strict/);
      const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
      assert.equal(status.gpu.setting, "auto");
      assert.equal(status.gpu.used, "none");
      assert.match(status.gpu.reason, /failed inside the sandbox/);
      assert.equal(status.runners[0].gpu, "none");
      assert.equal(status.runners[0].level, "strict");
      assert.equal((await chat(served.proxyUrl, "Where are my keys?")).status, 200);
    } finally {
      await served.stop();
      await Deno.remove(libraries, { recursive: true });
    }
  },
});

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) {
  console.log("skipped: fake GPUs but one, and the attack list with a GPU; set SECLLAMA_FULL=1");
}

for (const gpu of FULL ? ["nvidia", "amd", "intel"] : ["nvidia"]) {
  Deno.test({
    name: `a runner in the sandbox for ${gpu} (fake GPU): strict holds; if it dies, the processor`,
    ignore: notOn("linux"),
    async fn() {
      const served = await startServe({
        entry: join(ROOT, "tests/e2e/fake_gpu_main.ts"),
        env: { FAKE_GPU: gpu },
      });
      try {
        const status = async () =>
          await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
        const before = await status();
        assert.deepEqual(before.gpu, { setting: "auto", used: gpu, reason: "" });
        const [runner] = before.runners;
        assert.deepEqual([runner.gpu, runner.level, runner.problems], [gpu, "strict", []]);
        assert.equal(runner.attacks.held, true, "the network is denied all the same");
        assert.match(served.banner, new RegExp(`gpu +${gpu}, inside the sandbox`));
        assert.equal((await chat(served.proxyUrl, "Where are my keys?")).status, 200);
        Deno.kill(runner.pid, "SIGKILL");
        // The first answer may still be the dead runner's.
        const answered = async () => (await chat(served.proxyUrl, "Hello")).status === 200;
        await until(answered, "a runner replaces the dead one");
        const after = await status();
        assert.equal(after.gpu.used, "none");
        assert.match(after.gpu.reason, new RegExp(`the ${gpu} GPU failed inside the sandbox`));
        assert.deepEqual([after.runners[0].gpu, after.runners[0].level], ["none", "strict"]);
        assert.match(served.stderr(), /"event":"gpu-failed"/);
      } finally {
        await served.stop();
      }
    },
  });
}

Deno.test({
  name: "of the whole attack list, nothing more gets out of the sandbox for a GPU than for none",
  // Ten seconds of a processor for each GPU.
  ignore: Deno.build.os !== "linux" || !FULL,
  async fn() {
    const platform = await openPlatform();
    const model = join(ROOT, "models/demo.gguf");
    const libDir = libraryFolder();
    const files = { deno: Deno.execPath(), runner: join(ROOT, "build/attacker.js"), libDir };
    const attack = async (gpu: Gpu) => {
      const target = { ...runnerTarget(files, model, { gpu }), ...ATTACKER_MEMORY };
      const { plan, start } = platform.plan(target, "strict");
      const { rows, inferred, changed } = await attackAll(start, {
        libDir: plan.pathMap(libDir),
        modelPath: plan.pathMap(model),
      });
      assert.ok(rows.length > 80 && inferred);
      return [...rows.filter((r) => r.verdict === "out").map((r) => r.attack), ...changed];
    };
    let without: readonly string[] | undefined;
    for (const gpu of ["nvidia", "amd", "intel"] as const) {
      const out = await attack(gpu);
      if (out.length === 0) continue;
      without ??= await attack("none");
      console.log(`without a GPU: ${without.join(", ") || "nothing gets out"}`);
      assert.deepEqual(out, without, gpu);
    }
  },
});

Deno.test("a GPU asked for by name that cannot be used is an error, not the processor in silence", async () => {
  const { home, env } = await newHome();
  try {
    const serve = ["serve", "--ephemeral", "--port=0", "--proxy-port=0"];
    for (const [value, text] of [["metal", /GPU metal cannot be used/], ["cuda", /must be auto/]]) {
      const { code, stderr } = await cli([...serve, `--gpu=${value}`], { env });
      assert.equal(code, 2, stderr);
      assert.match(stderr, text as RegExp);
    }
    const missing = await cli(["sandbox", "plan", "--gpu-libraries=/nowhere"], { env });
    assert.equal(missing.code, 2, missing.stderr);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
