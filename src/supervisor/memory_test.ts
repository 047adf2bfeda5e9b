import assert from "node:assert/strict";
import { join } from "node:path";
import { privateMemory } from "./isolation.ts";
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
    const program = `import { readMachineMemory } from ${
      JSON.stringify(join(ROOT, "src/supervisor/memory.ts"))
    };
      console.log(JSON.stringify(readMachineMemory()));`;
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
    const { totalBytes, availableBytes } = JSON.parse(new TextDecoder().decode(stdout));
    assert.equal(totalBytes, 1_073_741_824);
    assert.ok(availableBytes <= 1_000_000_000, String(availableBytes));
  },
});

Deno.test("memory: what is admitted may be private, as weights in another order are", () => {
  const GIB = 2 ** 30;
  for (const totalBytes of [1, 2, 7.5, 24, 512].map((gib) => gib * GIB)) {
    for (const limitBytes of [0, GIB, totalBytes / 2, totalBytes * 0.97]) {
      const machine = { totalBytes, availableBytes: totalBytes };
      const admitted = memoryBudget(machine, { limitBytes, takenBytes: totalBytes });
      const may = privateMemory(totalBytes, limitBytes);
      assert.ok(may >= admitted, `${totalBytes} ${limitBytes}`);
      assert.ok(may <= Math.max(2 * GIB, admitted) + GIB, `${totalBytes} ${limitBytes}`);
    }
  }
});
