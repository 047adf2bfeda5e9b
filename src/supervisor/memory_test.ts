import assert from "node:assert/strict";
import { join } from "node:path";
import { privateMemory } from "./runner_target.ts";
import { memoryBudget } from "./memory.ts";

const ignore = Deno.build.os !== "linux" || Deno.uid() !== 0;
if (ignore) {
  console.log("skipped: the limit of a control group: mounts of its own need root on Linux");
}

const ROOT = new URL("../../", import.meta.url).pathname;

Deno.test({
  name: "memory: a container's limit counts, with no more permissions than the gateway has",
  ignore,
  async fn() {
    const from = (file: string) => JSON.stringify(join(ROOT, "src/supervisor", file));
    // What a runner may take follows it too, whatever the platform says of the machine.
    const program = `import { readMachineMemory } from ${from("memory.ts")};
      import { limitedTarget } from ${from("runner_target.ts")};
      const files = { deno: null, runner: "/bin/true", libDir: "/usr/lib" };
      const sandbox = { files, mode: "strict", platform: { memoryBytes: 2 ** 40 } };
      const { memory } = limitedTarget(sandbox, "/bin/true");
      console.log(JSON.stringify({ ...readMachineMemory(), ...memory }));`;
    const script = `set -e
mount -t tmpfs tmpfs /sys/fs/cgroup
echo 1073741824 > /sys/fs/cgroup/memory.max
echo 73741824 > /sys/fs/cgroup/memory.current
exec "$1" run --quiet --no-lock --allow-read --allow-ffi --ext=ts - `;
    const child = new Deno.Command("/usr/bin/unshare", {
      args: ["--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh", Deno.execPath()],
      cwd: ROOT,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(program));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const { totalBytes, availableBytes, privateBytes } = JSON.parse(
      new TextDecoder().decode(stdout),
    );
    assert.equal(totalBytes, 1_073_741_824);
    assert.ok(availableBytes <= 1_000_000_000, String(availableBytes));
    assert.ok(privateBytes < totalBytes, String(privateBytes));
  },
});

Deno.test("memory: what is admitted may be private, as weights in another order are; all there is may not", () => {
  const GIB = 2 ** 30;
  for (const totalBytes of [1, 2, 4, 5, 7.5, 24, 512].map((gib) => gib * GIB)) {
    for (
      const limitBytes of [0, GIB, totalBytes / 2, Math.floor(totalBytes * 0.97), totalBytes * 2]
    ) {
      // The system and the gateway have some of it.
      const machine = { totalBytes, availableBytes: Math.floor(totalBytes * 0.97) };
      const admitted = memoryBudget(machine, { limitBytes, takenBytes: 0 });
      const may = privateMemory(totalBytes, limitBytes);
      const told = `${totalBytes / GIB} GiB, ${limitBytes / GIB}: ${may / GIB}`;
      assert.ok(may >= admitted, told);
      assert.ok(may < totalBytes, told);
      if (limitBytes <= totalBytes) assert.ok(may <= Math.max(2 * GIB, admitted) + GIB, told);
    }
  }
});
