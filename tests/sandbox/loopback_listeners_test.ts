/** The listeners of macOS and Windows, for real on this system: what reaches one is counted, and a clean attack is believed. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { AttackResult, LoopbackTargets } from "../../src/escape/types.ts";
import { openLoopbackListeners } from "../../src/escape/loopback_listeners.ts";

function blocked(targets: LoopbackTargets): AttackResult[] {
  return (Object.keys(targets) as (keyof LoopbackTargets)[])
    .filter((target) => targets[target] !== null)
    .map((target) => ({ target, outcome: "blocked", step: "connect", errno: "x" }));
}

async function withListeners(
  use: (o: Awaited<ReturnType<typeof openLoopbackListeners>>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const listeners = await openLoopbackListeners({ folder });
  try {
    await use(listeners);
  } finally {
    listeners.close();
    assert.deepEqual([...Deno.readDirSync(folder)], [], "the socket's name is gone");
    await Deno.remove(folder);
  }
}

async function udp(port: number): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise((resolve) => socket.send("x", port, "127.0.0.1", resolve));
  socket.close();
}

Deno.test("an attack that reached nothing and was made on all is believed, time and again", () =>
  withListeners(async ({ targets, judge }) => {
    for (let i = 0; i < 3; i++) assert.deepEqual(await judge(blocked(targets)), []);
  }));

Deno.test("each way that gets through is a hit, even if the attacker says that it was refused", () =>
  withListeners(async ({ targets, judge }) => {
    const ways: Record<keyof LoopbackTargets, () => Promise<unknown>> = {
      tcp4: async () => (await Deno.connect({ port: targets.tcp4, hostname: "127.0.0.1" })).close(),
      tcp6: async () => {
        if (targets.tcp6 !== null) {
          (await Deno.connect({ port: targets.tcp6, hostname: "::1" })).close();
        }
      },
      udp: () => udp(targets.udp),
      pathStream: async () =>
        (await Deno.connect({ transport: "unix", path: targets.pathStream! })).close(),
    };
    for (const [target, go] of Object.entries(ways)) {
      if (targets[target as keyof LoopbackTargets] === null) {
        console.log(`SKIP ${target}: this machine has none`);
        continue;
      }
      await go();
      await go();
      assert.deepEqual(await judge(blocked(targets)), [
        `${target}: the listener was reached 2 times`,
      ]);
      assert.deepEqual(await judge(blocked(targets)), [], "counted once");
    }
  }));

Deno.test("an attack that was not made, or not refused, is held against the runner", () =>
  withListeners(async ({ targets, judge }) => {
    const count = blocked(targets).length;
    assert.equal((await judge([])).length, count);
    const open = blocked(targets).map((r) => ({ ...r, outcome: "out" as const }));
    assert.match((await judge(open)).join(), /tcp4: nothing refused the attack/);
    const idle = blocked(targets).map((r) => ({ ...r, outcome: "not run" as const }));
    assert.equal((await judge(idle)).length, count);
  }));

Deno.test("closed listeners prove nothing, and say so", async () => {
  const { targets, judge, close } = await openLoopbackListeners();
  assert.equal(targets.pathStream, null);
  assert.deepEqual(await judge(blocked(targets)), []);
  close();
  assert.deepEqual(await judge(blocked(targets)), ["no listener is open"]);
});
