/** Which host a client's model is at, and what hosts know of each other. */
import assert from "node:assert/strict";
import { toHex } from "../bytes.ts";
import { RECORDS } from "./bundle.ts";
import { Heartbeat } from "./heartbeat.ts";
import { type Candidate, placeFor } from "./placement.ts";
import { type HostReport, openReport, reportKeyOf, sealReport, sealSaid } from "./report.ts";
import { MemoryFleetStore } from "./store.ts";

/** As of `/api/tags`, and of `/api/ps`. */
const row = (name: string) => ({
  ...{ name, model: name, digest: "sha256:00", size: 1, modified_at: "2026-11-30T00:00:00.000Z" },
  details: { family: "llama", families: ["llama"], parameter_size: "1B" },
});
const { modified_at: expires_at, ...common } = row("demo:latest");
const loadedRow = { ...common, expires_at, size_vram: 0, context_length: 4096 };

const report = (about: Partial<HostReport> = {}): HostReport => ({
  ...{ label: "gpu-1", at: 1, version: "0", head: 1, models: [row("demo:latest")] },
  ...{ loaded: [], active: 0, parallel: 4 },
  ...about,
});
const hidOf = (i: number) => i.toString(16).padStart(32, "0");
const hosts = (count: number, about?: (i: number) => Partial<HostReport>): Candidate[] =>
  Array.from({ length: count }, (_, i) => ({ hid: hidOf(i + 1), report: report(about?.(i)) }));

Deno.test("placement: who has the model, with room if any has; one client and model stay together", () => {
  const ten = hosts(10, (i) => ({ models: i < 4 ? [row("demo:latest")] : [] }));
  const where = (all: Candidate[], client: string, model = "demo:latest") =>
    placeFor(all, { client, model })?.hid;
  const clients = Array.from({ length: 400 }, (_, i) => `c${i}`);
  const counts = new Map<string, number>();
  for (const client of clients) {
    const hid = where(ten, client)!;
    assert.equal(where([...ten].reverse(), client), hid);
    counts.set(hid, (counts.get(hid) ?? 0) + 1);
  }
  // Those four and no other; none with less than half of its share.
  assert.deepEqual([...counts.keys()].sort(), [1, 2, 3, 4].map(hidOf));
  assert.ok([...counts.values()].every((count) => count > 50), `${[...counts]}`);
  // A host that goes moves its own clients only.
  const without = ten.filter(({ hid }) => hid !== hidOf(2));
  for (const client of clients) {
    const before = where(ten, client);
    if (before !== hidOf(2)) assert.equal(where(without, client), before);
  }
  const full = (...which: number[]) =>
    ten.map((host, i) =>
      which.includes(i) ? { ...host, report: { ...host.report, active: 4 } } : host
    );
  for (const client of clients) {
    assert.notEqual(where(full(0), client), hidOf(1));
    // All are full: the one that it was.
    assert.equal(where(full(0, 1, 2, 3), client), where(ten, client));
  }
  assert.equal(where(ten, "c", "other:latest"), undefined);
});

Deno.test("a report is its host's, and under the key of those who belong to the fleet now", () => {
  const seed = new Uint8Array(32).fill(1);
  const key = reportKeyOf(seed, 0);
  const text = sealReport(report(), key, hidOf(1));
  assert.deepEqual(openReport(text, key, hidOf(1)), report());
  assert.ok(
    !text.includes("demo") && !atob(text.replace(/-/g, "+").replace(/_/g, "/")).includes("demo"),
  );
  assert.equal(openReport(text, key, hidOf(2)), undefined);
  assert.equal(openReport(text, reportKeyOf(seed, 1), hidOf(1)), undefined);
  for (const other of ["", "AAAA", text.slice(4)]) {
    assert.equal(openReport(other, key, hidOf(1)), undefined);
  }
});

Deno.test("a report is one: what a host says that lies is left out, and does not stop the others", () => {
  const key = new Uint8Array(32).fill(7);
  const read = (value: unknown) =>
    openReport(sealSaid("report", value, key, hidOf(1)), key, hidOf(1));
  const full = report({
    ...{ label: "", audit: "AA" },
    loaded: [loadedRow],
    pulls: [{ model: "registry.example/me/m@sha256:00", state: "failed: registry-not-allowed" }],
  });
  assert.deepEqual(read(full), full, "control");
  const bad: object[] = [{ at: 1 }, [], { ...full, models: undefined }, { ...full, loaded: {} }];
  for (const field of ["at", "head", "active", "parallel"]) {
    for (const value of [undefined, null, -1, 1.5, "1", 1e16]) {
      bad.push({ ...full, [field]: value });
    }
  }
  for (const label of [undefined, 1, "A B", "\x1b[2J"]) bad.push({ ...full, label });
  bad.push({ ...full, audit: 1 }, { ...full, version: "\x1b[2J" }, { ...full, at: 8.65e15 });
  for (const one of [null, 1, "x", ...bad]) assert.equal(read(one), undefined, JSON.stringify(one));
  // What shows nothing is left out, and the rest counts.
  const path = ["A".repeat(43)];
  assert.deepEqual(read({ ...full, auditSince: { size: 3, path } })!.auditSince, { size: 3, path });
  const none = [null, 1, {}, { size: 3 }, { size: "3", path }];
  // The last of these has bits behind its 32 bytes: no text of theirs.
  const paths = [["x"], Array(129).fill(path[0]), ["A".repeat(42) + "B"]];
  for (const auditSince of [...none, ...paths.map((path) => ({ size: 3, path }))]) {
    assert.deepEqual(read({ ...full, auditSince }), full);
  }
  // A row that is none goes alone.
  const rows = [null, 1, "demo", [], {}, { name: 1 }, { name: "../x" }, { name: "\x1b[2J" }];
  const deep = JSON.parse(`${"[".repeat(10_000)}${"]".repeat(10_000)}`);
  for (
    const [field, values] of Object.entries({
      digest: [undefined, 1],
      size: [undefined, "1", -1, 1.5],
      details: [
        ...[undefined, null, [], { family: 1 }, { family: ["llama"] }],
        ...[{ families: "llama" }, { families: [1] }, { families: deep }],
      ],
      modified_at: [
        ...[undefined, 1, "x", { toString: 1 }, deep, "2026-99-99T00:00:00Z"],
        // Times for JavaScript, and none for Go.
        ...["2026-11-30", "2026-11-30T00:00Z", "2026-11-30T24:00:00.000Z"],
        ...["2026-02-30T00:00:00.000Z", "+012026-11-30T00:00:00.000Z"],
      ],
    })
  ) for (const value of values) rows.push({ ...row("demo:latest"), [field]: value });
  const pulls = [null, { model: "a" }, { model: "a", state: "\x1b[2J" }, {
    model: "a",
    state: "done",
  }];
  const some = read({
    ...full,
    models: [...rows, {
      ...full.models[0],
      ...{ deep, details: { ...row("demo:latest").details, deep, Families: "llama" } },
    }],
    loaded: rows,
    pulls,
  })!;
  assert.deepEqual(some, { ...full, loaded: [], pulls: [{ model: "a", state: "done" }] });
});

Deno.test("heartbeat: hosts know of each other while they are heard, and no old report counts", async () => {
  await using store = new MemoryFleetStore();
  const clock = { now: 1_000_000 };
  const key = new Uint8Array(32).fill(7);
  const told: (string | undefined)[] = [];
  const heart = (i: number, models: string[]) =>
    new Heartbeat({
      member: { hid: Uint8Array.fromHex(hidOf(i)), reportKey: key, version: 1 },
      store: () => store,
      now: () => clock.now,
      look(before) {
        told.push(before?.label);
        return Promise.resolve(
          report({ label: `gpu-${i}`, models: models.map(row) }),
        );
      },
    });
  using one = heart(1, ["demo:latest"]);
  using two = heart(2, ["demo:latest", "other:latest"]);
  const beat = async (...which: Heartbeat[]) => {
    for (const each of which) await each.beat();
    await new Promise((resolve) => setTimeout(resolve));
  };
  await beat(one, two, one);
  // A host that starts is told what it said last, once.
  using again = heart(1, []);
  await beat(again, again);
  assert.deepEqual(told, [undefined, undefined, undefined, "gpu-1", undefined]);
  await beat(one);
  const at = (here: boolean, model: string, without?: string) =>
    one.place({ client: "c", model, here, ...(without && { without }) });
  assert.equal(at(true, "other:latest"), `gpu-2.${hidOf(2)}`);
  assert.equal(at(false, "demo:latest"), `gpu-2.${hidOf(2)}`);
  assert.equal(at(true, "demo:latest", hidOf(2)), `gpu-1.${hidOf(1)}`);
  assert.equal(at(false, "none:latest"), undefined);
  const old = (await store.get(RECORDS.report(hidOf(2))))!;
  clock.now += 6_001;
  assert.deepEqual(one.others(), [], "not heard for three beats");
  // What was said then is shown again by whoever keeps it.
  await store.put(RECORDS.report(hidOf(2)), old);
  await beat();
  assert.deepEqual(one.others(), []);
  await beat(two);
  assert.deepEqual(one.others().map(({ hid }) => hid), [hidOf(2)]);
  // All clocks go back: nobody is taken to be there for an hour, and who reports is heard.
  clock.now -= 3_600_000;
  await beat();
  assert.deepEqual(one.others(), []);
  await beat(two);
  assert.deepEqual(one.others().map(({ hid }) => hid), [hidOf(2)]);
  // The same after it was started anew.
  using anew = heart(2, []);
  clock.now -= 60_000;
  await beat(anew);
  assert.deepEqual(one.others().map(({ hid }) => hid), [hidOf(2)]);
  // Control: a host writes under another's name, where the store would let it.
  await store.put(RECORDS.report(hidOf(3)), sealReport(report({ at: 9 }), key, hidOf(1)));
  await beat();
  assert.equal(one.others().length, 1);
  // One that says no label, as hosts of an earlier version may, is named so that clients can read it.
  const nameless = sealReport(
    report({ label: "", models: [row("only:latest")] }),
    key,
    hidOf(4),
  );
  await store.put(RECORDS.report(hidOf(4)), nameless);
  await beat();
  assert.equal(at(false, "only:latest"), hidOf(4));
  assert.equal(toHex(key), "07".repeat(32));
});
