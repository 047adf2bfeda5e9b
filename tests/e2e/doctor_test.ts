/** The doctor's whole run: all attacks, from inside a fresh sandbox. */
import assert from "node:assert/strict";
import { bothWays, cli, newHome } from "../support/serve.ts";

bothWays("doctor: measures, and fails when a protection is off", async () => {
  const { home, env: own } = await newHome();
  // Whatever serves at the usual ports of this machine is not judged here.
  const env = { ...own, SECLLAMA_PORT: "0", SECLLAMA_PROXY_PORT: "0" };
  try {
    const good = await cli(["doctor", "--json"], { env });
    assert.equal(good.code, 0, good.stdout);
    const { verdict, checks } = JSON.parse(good.stdout);
    assert.equal(verdict, "holds");
    for (const name of ["attack on live listeners", "versions", "model store", "GPU"]) {
      assert.ok(checks.some((c: { name: string }) => c.name === name), name);
    }
    const attacks = checks.filter((c: { name: string }) => c.name.startsWith("attack: "));
    assert.ok(attacks.length >= 90, `${attacks.length} attacks`);
    for (const { name, expected, stoppedBy } of attacks) {
      assert.equal(expected, "refused", name);
      assert.ok(stoppedBy && stoppedBy !== "the kernel", `${name}: stopped by ${stoppedBy}`);
    }
    const off = await cli(["doctor"], { env: { ...env, SECLLAMA_ENABLE_SANDBOX: "false" } });
    assert.equal(off.code, 9);
    assert.match(off.stdout, /fails +setting: the sandbox/);
    const plan = await cli(["sandbox", "plan", "--json"], { env });
    assert.equal(JSON.parse(plan.stdout).level, "full");
    for (const os of ["macos", "windows"]) {
      const other = await cli(["sandbox", "plan", "--os", os, "--json"], { env });
      assert.equal(other.code, 0, other.stderr);
      assert.equal(JSON.parse(other.stdout).os, os);
    }
    assert.equal((await cli(["sandbox", "plan", "--os", "beos"], { env })).code, 2);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
