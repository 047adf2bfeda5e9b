/** How a sink waits while its server is away. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AUDIT_FILE } from "./database.ts";
import { SinkClock, SinkPosition } from "./sink.ts";
import { withLog } from "./testing.ts";

/** A server that is away `fails` times; how often it had been asked when `wakes` new lines had come. */
async function askedAfter(wakes: number, fails: number) {
  const clock = new SinkClock(60_000);
  const hold = setInterval(() => {}, 1_000);
  const pausing = Promise.withResolvers<void>();
  let asked = 0;
  const running = clock.run(
    () => ++asked <= fails ? Promise.reject(new Error("away")) : Promise.resolve(),
    () => pausing.resolve(),
  );
  await pausing.promise;
  const told: number[] = [];
  for (let i = 0; i < wakes; i++) {
    clock.wake();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    told.push(asked);
  }
  clock.close(0);
  await running;
  clearInterval(hold);
  return told;
}

Deno.test("sinks: new lines end no pause while the server is away; the end of the sink does", async () => {
  assert.deepEqual(await askedAfter(50, 1_000), Array(50).fill(1));
});

Deno.test("sinks: new lines do end the wait for new lines", async () => {
  const clock = new SinkClock();
  const waiting = clock.sleep(86_400_000);
  clock.wake();
  await waiting;
});

Deno.test("sinks: what was sent is not forgotten while the log is away", () =>
  withLog(async (rig) => {
    await rig.fill(5);
    const position = () => new SinkPosition(rig.folder, "sink.json", 10);
    assert.equal(await position().read(), 0, "nothing was noted");
    await position().keep(3);
    const at = join(rig.folder, AUDIT_FILE);
    Deno.renameSync(at, `${at}.away`);
    await assert.rejects(position().read(), { code: "audit-failed" });
    Deno.writeTextFileSync(at, "no database ".repeat(99));
    await assert.rejects(position().read(), { code: "audit-broken" });
    Deno.renameSync(`${at}.away`, at);
    assert.equal(await position().read(), 3);
    await Deno.writeTextFile(join(rig.folder, "sink.json"), "no JSON");
    assert.equal(await position().read(), 0);
  }));
