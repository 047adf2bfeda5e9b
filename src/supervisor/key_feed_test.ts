import assert from "node:assert/strict";
import { type Bytes, toHex } from "../bytes.ts";
import { KeyRing } from "../keys/mod.ts";
import { silentLogger } from "../log.ts";
import { decodeKeyFrame } from "../pipe/key_frames.ts";
import { KeyFeed, type KeyReceiver } from "./key_feed.ts";

const [OLD_KID, KID] = ["00112233445566ff", "ff00112233445566"];
const [A, B] = ["01", "02"].map((digits) => digits.repeat(16)) as [string, string];
const LOCAL = `local.${KID}`;
const [CLIENT, OTHER] = [A, B].map((id) => `client.${KID}.${id}`) as [string, string];

/** A key source that can be told what there is, and runners that do what the key frames say. */
function world(runnerCount: number) {
  const source = {
    ids: [A, B],
    kids: [KID],
    /** The kid under which each client has shown that it has its key. */
    shown: OLD_KID,
    gen: 1,
    changes: "1",
    afterRead: () => {},
    fails: false,
    confirmed: [] as ReadonlyMap<string, string>[],
  };
  const ring = () =>
    new KeyRing({
      hid: new Uint8Array(16).fill(7),
      gen: source.gen,
      keys: source.kids.map((kid, i) => ({
        kid,
        transport: new Uint8Array(32).fill(kid === KID ? 1 : 2),
        active: i === 0,
        createdMs: kid === KID ? 2 : 1,
        ...(i > 0 && { retiredMs: Date.now() }),
      })),
      clients: new Map(
        source.ids.map((id) => [
          id,
          { id, name: id, created: "", revoked: null, kid: source.shown },
        ]),
      ),
      roles: new Map(),
      graceMs: 3_600_000,
      now: () => new Date(),
    });
  const keys = {
    changes: () => Promise.resolve(source.changes),
    ring: () => {
      if (source.fails) return Promise.reject(new Error("the store is locked"));
      const made = ring();
      source.afterRead();
      return Promise.resolve(made);
    },
    clients: () => ({
      confirm: (shown: ReadonlyMap<string, string>) => {
        source.confirmed.push(shown);
        return Promise.resolve();
      },
    }),
  };
  const runners = Array.from({ length: runnerCount }, (_, i) => new Runner(i));
  const feed = new KeyFeed({ keys, receivers: () => runners, logger: silentLogger });
  const revoke = (id: string) => {
    source.ids = source.ids.filter((other) => other !== id);
    source.changes += "r";
  };
  const rotate = () => {
    source.kids = [KID, OLD_KID];
    source.gen++;
    source.changes += "k";
  };
  return { feed, source, runners, revoke, rotate, ring };
}

class Runner implements KeyReceiver {
  readonly given = new Map<string, number>();
  readonly rn: Uint8Array;
  readonly held = new Map<string, { psk: string; renewal: Uint8Array | undefined }>();
  readonly ended: string[] = [];
  frames = 0;

  constructor(index: number) {
    this.rn = new Uint8Array(32).fill(index);
  }

  readonly sendKeys = (payload: Bytes) => {
    this.frames++;
    const frame = decodeKeyFrame(payload);
    if (frame.kind === "give") {
      for (const { pskId, psk, renewal } of frame.keys) {
        this.held.set(pskId, { psk: toHex(psk), renewal });
      }
      return;
    }
    for (const id of frame.ids) this.held.delete(id);
    if (frame.kind === "revoke") this.ended.push(...frame.ids);
  };

  get ids(): string[] {
    return [...this.held.keys()];
  }
}

Deno.test("keys: a runner is given those of clients that come, each once, and no two runners the same", async () => {
  const { feed, runners } = world(3);
  await feed.refresh();
  assert.deepEqual(runners.map((runner) => runner.frames), [0, 0, 0]);
  for (const runner of runners.slice(0, 2)) {
    for (let i = 0; i < 3; i++) feed.give(runner, CLIENT);
    assert.deepEqual([runner.ids, runner.frames], [[CLIENT], 1]);
  }
  const [first, second] = runners.map((runner) => runner.held.get(CLIENT)?.psk);
  assert.notEqual(first, second);
  assert.deepEqual(runners[2]!.ids, []);
  // Nobody is known by these.
  for (const id of ["client.x", "", `client.${OLD_KID}.${A}`, `local.${OLD_KID}`]) {
    feed.give(runners[2]!, id);
  }
  assert.equal(runners[2]!.frames, 0);
  feed.stop();
});

Deno.test("keys: a client that is revoked while the keys are read is gone from every runner at its next request", async () => {
  const { feed, source, runners, revoke } = world(3);
  await feed.refresh();
  for (const runner of runners) for (const id of [CLIENT, OTHER, LOCAL]) feed.give(runner, id);
  source.changes = "2";
  source.afterRead = () => {
    source.afterRead = () => {};
    revoke(A);
  };
  await feed.refreshIfChanged();
  assert.ok(runners.every((runner) => runner.ids.includes(CLIENT)), "it did not come in between");
  await feed.refreshIfChanged();
  for (const runner of runners) {
    assert.deepEqual([runner.ids, runner.ended], [[OTHER, LOCAL], [CLIENT]]);
    feed.give(runner, CLIENT);
    assert.deepEqual(runner.ids, [OTHER, LOCAL]);
  }
  assert.equal(await feed.proofKey(CLIENT), undefined);
  feed.stop();
});

Deno.test("keys: what a client began under its older key goes on, but nothing new begins under it", async () => {
  const { feed, source, runners: [runner], rotate } = world(1);
  rotate();
  await feed.refresh();
  const older = `client.${OLD_KID}.${A}`;
  feed.give(runner!, older);
  assert.ok(runner!.held.get(older)!.renewal, "it carries the newer key, sealed");
  source.shown = KID;
  source.changes = "shown";
  await feed.refreshIfChanged();
  assert.deepEqual([runner!.ids, runner!.ended], [[], []]);
  feed.stop();
});

Deno.test("keys: after a rotation a client is told of its newer key at its next request, not before", async () => {
  const { feed, source, runners: [runner], rotate } = world(1);
  source.kids = [OLD_KID];
  await feed.refresh();
  const older = `client.${OLD_KID}.${A}`;
  feed.give(runner!, older);
  assert.equal(runner!.held.get(older)!.renewal, undefined);
  rotate();
  await feed.refreshIfChanged();
  assert.equal(runner!.frames, 1);
  feed.give(runner!, older);
  assert.deepEqual([runner!.frames, runner!.held.get(older)!.renewal!.length > 100], [2, true]);
  feed.stop();
});

Deno.test("keys: the host's word is for one runner, model and challenge", async () => {
  const { feed, runners } = world(2);
  await feed.refresh();
  const word = (runner: KeyReceiver, model: string, challenge: string) =>
    feed.attest(runner, CLIENT, { model, challenge })!.attest;
  const [c, d] = ["00".repeat(16), "01".repeat(16)];
  const words = [
    word(runners[0]!, "demo:latest", c!),
    word(runners[1]!, "demo:latest", c!),
    word(runners[0]!, "other:latest", c!),
    word(runners[0]!, "demo:latest", d!),
  ];
  assert.equal(new Set(words).size, 4);
  assert.equal(feed.attest(runners[0]!, "client.x", { model: "demo", challenge: c! }), undefined);
  feed.stop();
});

Deno.test("keys: a store that fails leaves the change to be seen again", async () => {
  const { feed, source, runners, revoke } = world(2);
  await feed.refresh();
  for (const runner of runners) feed.give(runner, CLIENT);
  revoke(A);
  source.fails = true;
  await assert.rejects(feed.refreshIfChanged());
  source.fails = false;
  await feed.refreshIfChanged();
  assert.deepEqual(runners.map((runner) => runner.ids), [[], []]);
  feed.stop();
});

Deno.test("keys: proofs without end cause few notes, for those with an older key, and no runner's word causes any", async () => {
  const { feed, source } = world(1);
  source.kids = [KID, OLD_KID];
  await feed.refresh();
  for (let i = 0; i < 1000; i++) for (const id of [CLIENT, OTHER]) feed.confirm(id);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(
    source.confirmed.map((shown) => [...shown].sort()),
    [[[A, KID]], [[A, KID], [B, KID]]],
    "what comes while one is written is written together",
  );
  source.confirmed = [];
  for (const id of [LOCAL, `client.${OLD_KID}.${A}`, "client.x", ""]) feed.confirm(id);
  source.shown = KID;
  source.changes = "shown";
  await feed.refreshIfChanged();
  feed.confirm(CLIENT);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(source.confirmed, []);
  feed.stop();
});

Deno.test("keys: a slow store is not asked once for each who waits, and nobody gets what was read before they came", async () => {
  const { feed, source, runners, revoke } = world(1);
  await feed.refresh();
  feed.give(runners[0]!, CLIENT);
  let reads = 0;
  source.afterRead = () => void reads++;
  const first = feed.refresh();
  await Promise.resolve();
  revoke(A);
  await Promise.all([first, ...Array.from({ length: 1000 }, () => feed.refreshIfChanged())]);
  assert.ok(reads >= 2 && reads <= 3, `${reads} reads`);
  assert.deepEqual(runners[0]!.ids, []);
  feed.stop();
});
