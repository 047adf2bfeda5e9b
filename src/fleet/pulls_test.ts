/** Models that the issuer asks for: a host that did not say that it takes pulls makes none, and each wish is done once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../../tests/support/patience.ts";
import { SecLlamaError } from "../errors.ts";
import { PulledFile } from "./pulled_file.ts";
import { FleetPulls } from "./pulls.ts";
import { fleetHosts, wishPull } from "./issuer.ts";
import { withFleet } from "./testing.ts";

Deno.test("fleet pull: a wish comes to the host that it is for, and ends after a day", async () => {
  await withFleet(async ({ issuer, publish, member, clock }) => {
    const at = clock.now;
    const model = "registry.example/me/model";
    assert.deepEqual(
      await wishPull(issuer.state, { model, label: "gpu-2", at }),
      ["gpu-2"],
    );
    await assert.rejects(wishPull(issuer.state, { model, label: "gpu-9", at }), {
      code: "not-found",
    });
    const texts = await publish();
    const pulls = async (i: number) => {
      const fleet = await member(i, texts[i]!);
      await fleet.read();
      return fleet;
    };
    assert.deepEqual((await pulls(0)).pulls, []);
    const second = await pulls(1);
    assert.deepEqual(second.pulls, [{ model, at }]);
    clock.now += 3_600_000;
    assert.deepEqual(second.pulls, [], "its time is over");
    // Asked again by a clock that went back: it is a newer wish all the same.
    await wishPull(issuer.state, { model, label: "gpu-2", at: at - 60_000 });
    assert.deepEqual((await fleetHosts(issuer.state))[1]!.pulls, [{ model, at: at + 1 }]);
    for (let i = 0; i < 40; i++) {
      await wishPull(issuer.state, { model: `${model}-${i}`, label: undefined, at: at + i });
    }
    assert.ok((await fleetHosts(issuer.state)).every(({ pulls }) => pulls!.length === 16));
    clock.now = at + 2 * 86_400_000;
    const fleet = await member(0, (await publish())[0]!);
    await fleet.read();
    assert.deepEqual(fleet.pulls, []);
  });
});

Deno.test("fleet pull: a host pulls by its own word only, one after the other, each wish once", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  await using _ = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const wishes = [{ model: "a", at: 1 }, { model: "b", at: 1 }];
  const member = { pulls: wishes };
  const kept = PulledFile.read(folder);
  using closed = new FleetPulls({ member, kept, pull: undefined });
  const refused = [{ model: "a", state: "refused" }, { model: "b", state: "refused" }];
  assert.deepEqual(closed.look(), refused);

  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  let line: (line: object) => void = () => {};
  using open = new FleetPulls({
    member,
    kept,
    pull(model, { onLine }) {
      begun.push(model);
      line = onLine;
      ends.set(model, Promise.withResolvers());
      return ends.get(model)!.promise;
    },
  });
  open.look();
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  await turn();
  assert.deepEqual(begun, ["a"]);
  line({ status: "pulling", total: 200, completed: 81 });
  assert.deepEqual(open.look(), [
    { model: "a", state: "pulling 40 %" },
    { model: "b", state: "waiting" },
  ]);
  ends.get("a")!.resolve();
  await until(() => ends.has("b"), "the next one begins");
  ends.get("b")!.reject(new SecLlamaError("registry-not-allowed", "no"));
  await turn();
  const over = [
    { model: "a", state: "done" },
    { model: "b", state: "failed: registry-not-allowed" },
  ];
  for (let i = 0; i < 3; i++) assert.deepEqual(open.look(), over);
  assert.deepEqual(begun, ["a", "b"]);
  // Asked anew, it is done anew.
  member.pulls[1] = { model: "b", at: 2 };
  open.look();
  await turn();
  assert.deepEqual(begun, ["a", "b", "b"]);
  ends.get("b")!.reject(new Error("the host is stopped"));
  await turn();

  // After a start: what was fulfilled is not done again, and what was not is.
  const again: string[] = [];
  using later = new FleetPulls({
    ...{ member, kept: PulledFile.read(folder) },
    pull: (model) => Promise.resolve(again.push(model)),
  });
  const [done] = later.look();
  assert.deepEqual(done, { model: "a", state: "done" });
  await until(() => later.look()[1]!.state === "done", "the other one is pulled");
  assert.deepEqual(again, ["b"]);
  // Another day only what may still be asked for is noted; a file that is damaged says nothing.
  await PulledFile.read(folder).note("c", 2 + 86_400_000);
  const noted = PulledFile.read(folder);
  assert.deepEqual(["a", "b", "c"].map((model) => noted.doneAt(model)), [0, 0, 86_400_002]);
  await Deno.writeTextFile(join(folder, "fleet-pulls.json"), "{");
  assert.equal(PulledFile.read(folder).doneAt("c"), 0);
});
