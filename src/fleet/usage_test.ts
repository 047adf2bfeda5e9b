/** A limit over three hosts: against one list of all that was asked, by generation; and when a host hears nothing of the others. */
import assert from "node:assert/strict";
import { toHex } from "../bytes.ts";
import { Limiter, type Ticket, type Usage, type UsageStore } from "../firm/limiter.ts";
import type { Role } from "../keys/mod.ts";
import { RECORDS } from "./bundle.ts";
import { reportKeyOf, sealSaid } from "./report.ts";
import { type FleetStore, MemoryFleetStore } from "./store.ts";
import { FleetUsage } from "./usage.ts";
import { seeded } from "../../tests/support/seeds.ts";

const [MINUTE, DAY] = [60_000, 86_400_000];
const hidOf = (i: number) => Uint8Array.from({ length: 16 }, () => i + 1);
const IDS = ["a1", "b2", "c3"].map((byte) => byte.repeat(16));

class Memory implements UsageStore {
  readonly kept = new Map<string, Usage>();
  load(client: string) {
    return this.kept.get(client);
  }
  save(client: string, usage: Usage) {
    this.kept.set(client, usage);
  }
}

/** Three hosts at one store. */
function fleet(clock: { now: number }, reach: (i: number) => FleetStore | undefined) {
  const keys = { now: reportKeyOf(new Uint8Array(32), 0) };
  const gone = new Set<number>();
  /** Why the file of a host cannot be read. */
  const unread: (Error | undefined)[] = [];
  const told: unknown[] = [];
  const files = [0, 1, 2].map(() => new Memory());
  const start = (i: number) => {
    const usage = new FleetUsage({
      member: {
        hid: hidOf(i),
        get reportKey() {
          return keys.now;
        },
        hosts: 3,
        hasClient: (id) => IDS.includes(id),
      },
      store: () => reach(i),
      kept: () => {
        const fault = unread[i];
        if (fault !== undefined) throw fault;
        return files[i]!.kept;
      },
      onUnread: (error) => told.push(error),
      isThere: (hid) => ![...gone].some((i) => toHex(hidOf(i)) === hid),
      now: () => clock.now,
    });
    return { usage, limiter: new Limiter(files[i]!, () => clock.now, usage) };
  };
  const hosts = [0, 1, 2].map(start);
  return { hosts, keys, gone, start, unread, told };
}

const left = (limiter: Limiter, client: string, role: Role) => {
  try {
    limiter.check(client, role);
    return true;
  } catch (error) {
    assert.equal((error as { code: string }).code, "rate-limited");
    return false;
  }
};

Deno.test("limits over hosts: what one list of all hosts would have, once what was counted is told", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seeded(seed);
    const upTo = (n: number) => 1 + Math.floor(random() * n);
    const some = (n: number) => random() < 0.5 ? upTo(n) : undefined;
    const amounts = {
      ...{ requestsPerMinute: some(9), requestsPerDay: some(30), tokensPerMinute: some(400) },
      ...{ tokensPerDay: some(1500), atOnce: some(4) },
    };
    const role = JSON.parse(JSON.stringify({ name: "r", ...amounts })) as Role;
    const clock = { now: 1_800_000_000_000 + upTo(DAY) };
    await using store = new MemoryFleetStore();
    const { hosts, keys, start } = fleet(clock, () => store);
    const log: { client: string; of: "requests" | "tokens"; at: number; n: number }[] = [];
    const open: { client: string; host: number; ticket: Ticket }[] = [];
    for (const { usage } of hosts) await usage.flush();
    for (let step = 0; step < 120; step++) {
      clock.now += random() < 0.1 ? upTo(DAY / 2) : upTo(15_000);
      const client = `client ${IDS[upTo(3) - 1]!}`;
      const host = upTo(3) - 1;
      const used = (of: "requests" | "tokens", length: number) =>
        log.filter((one) =>
          one.client === client && one.of === of &&
          Math.floor(one.at / length) === Math.floor(clock.now / length)
        ).reduce((sum, { n }) => sum + n, 0);
      const isFull = [
        [role.requestsPerMinute, used("requests", MINUTE)],
        [role.requestsPerDay, used("requests", DAY)],
        [role.tokensPerMinute, used("tokens", MINUTE)],
        [role.tokensPerDay, used("tokens", DAY)],
        [role.atOnce, open.filter((one) => one.client === client).length],
      ].some(([limit, n]) => limit !== undefined && n! >= limit);
      const about = `seed ${seed} step ${step}`;
      assert.equal(left(hosts[host]!.limiter, client, role), !isFull, about);
      if (!isFull && random() < 0.8) {
        open.push({ client, host, ticket: hosts[host]!.limiter.admit(client, role) });
        log.push({ client, of: "requests", at: clock.now, n: 1 });
      }
      if (open.length > 0 && random() < 0.6) {
        const [one] = open.splice(upTo(open.length) - 1, 1);
        const n = upTo(150);
        one!.ticket.used(n);
        one!.ticket.end();
        log.push({ client: one!.client, of: "tokens", at: clock.now, n });
      }
      if (random() < 0.03) keys.now = reportKeyOf(new Uint8Array(32), step);
      // A host that starts anew finds what it said before.
      const idle = [0, 1, 2].find((i) => open.every((one) => one.host !== i));
      if (idle !== undefined && random() < 0.1) {
        hosts[idle]!.usage[Symbol.dispose]();
        hosts[idle] = start(idle);
      }
      for (const { usage } of hosts) await usage.flush();
      for (const { usage } of hosts) await usage.flush();
    }
    for (const { usage } of hosts) usage[Symbol.dispose]();
  }
});

Deno.test("limits over hosts: who hears nothing of the others gives its share, and no more", async () => {
  const clock = { now: 1_800_000_000_000 };
  const role: Role = { name: "r", requestsPerDay: 10, atOnce: 5 };
  const client = `client ${IDS[0]}`;
  await using store = new MemoryFleetStore();
  const away = { isAway: false };
  const { hosts, gone } = fleet(clock, () => away.isAway ? undefined : store);
  const admitted = (i: number) => {
    let count = 0;
    for (; left(hosts[i]!.limiter, client, role); count++) {
      hosts[i]!.limiter.admit(client, role).end();
    }
    return count;
  };
  for (const { usage } of hosts) await usage.flush();
  // Control: each for itself lets three times as much through.
  const alone = [0, 1, 2].map(() => new Limiter(new Memory(), () => clock.now));
  assert.equal(
    alone.reduce((sum, limiter) => {
      for (let i = 0; i < 100 && left(limiter, client, role); i++, sum++) {
        limiter.admit(client, role).end();
      }
      return sum;
    }, 0),
    30,
  );
  away.isAway = true;
  assert.deepEqual([0, 1, 2].map(admitted), [4, 4, 4]);
  away.isAway = false;
  for (const { usage } of hosts) await usage.flush();
  assert.deepEqual([0, 1, 2].map(admitted), [0, 0, 0]);
  // This host's own clients are nobody else's business.
  assert.equal(hosts[0]!.usage.of("client ff", { minute: NOW, day: NOW }), undefined);

  // What is under way at a host that is gone is over.
  clock.now += DAY;
  const tickets = [0, 1, 2, 3, 4].map(() => hosts[0]!.limiter.admit(client, role));
  for (const { usage } of hosts) await usage.flush();
  assert.ok(!left(hosts[1]!.limiter, client, role));
  gone.add(0);
  assert.ok(left(hosts[1]!.limiter, client, role));
  tickets.forEach((ticket) => ticket.end());
  for (const { usage } of hosts) usage[Symbol.dispose]();
});

const NOW = { at: 0, requests: 0, tokens: 0 };

Deno.test("limits over hosts: counts are a host's own, sealed, in so many records and no more", async () => {
  const clock = { now: 1_800_000_000_000 };
  const role: Role = { name: "r", requestsPerDay: 1_000_000 };
  await using store = new MemoryFleetStore();
  const { hosts } = fleet(clock, () => store);
  hosts[0]!.limiter.admit(`client ${IDS[0]}`, role).used(5);
  for (const { usage } of hosts) await usage.flush();
  const names = await store.list(RECORDS.usageOf(toHex(hidOf(0))));
  assert.equal(names.length, 1);
  const text = (await store.get(names[0]!))!;
  assert.ok(!atob(text.replace(/-/g, "+").replace(/_/g, "/")).includes(IDS[0]!.slice(0, 8)));
  const count = () =>
    hosts[1]!.usage.of(`client ${IDS[0]}`, {
      minute: { ...NOW, at: Math.floor(clock.now / MINUTE) },
      day: { ...NOW, at: Math.floor(clock.now / DAY) },
    })!.day;
  assert.deepEqual(count(), { requests: 1, tokens: 5 });
  // Passed off as a third host's, or as another part, it says nothing.
  await store.put(RECORDS.usage(toHex(hidOf(2)), 1), text);
  const [, part] = /(\d+)$/.exec(names[0]!)!;
  await store.put(RECORDS.usage(toHex(hidOf(2)), Number(part)), text);
  await store.put(names[0]!.replace(/\d+$/, "63"), text);
  await store.put(names[0]!, "nothing");
  assert.deepEqual(count(), { requests: 1, tokens: 5 });
  for (const { usage } of hosts) usage[Symbol.dispose]();
});

Deno.test("limits over hosts: a host that lies fills no other one's memory", async () => {
  const clock = { now: 1_800_000_000_000 };
  const day = Math.floor(clock.now / DAY);
  await using store = new MemoryFleetStore();
  const { hosts, keys } = fleet(clock, () => store);
  const { usage } = hosts[1]!;
  await usage.flush();
  const [minute, liar] = [{ ...NOW, at: Math.floor(clock.now / MINUTE) }, toHex(hidOf(0))];
  const say = (part: number, rows: Record<string, unknown>, name = `usage.${liar}.${part}`) =>
    store.put(name, sealSaid(`usage ${part}`, rows, keys.now, liar));
  const count = (at = day) =>
    usage.of(`client ${IDS[0]}`, { minute, day: { ...NOW, at } })!.day.requests;
  const part = parseInt(IDS[0]!.slice(0, 8), 16) % 64;
  const row = (requests: number, at = day) => [0, 0, 0, at, requests, 0, 0];
  await say(part, { [IDS[0]!]: row(1) });
  assert.equal(count(), 1, "control");
  // There are 64 parts, each with one name, and with its own clients only.
  await say(part + 64, { [IDS[0]!]: row(7) });
  await say(64, { [IDS[0]!]: row(7) });
  await say(part, { [IDS[0]!]: row(7) }, `usage.${liar}.0${part}`);
  await say((part + 1) % 64, { [IDS[0]!]: row(7) });
  assert.equal(count(), 1);
  // A host's clock may go before: not by years.
  await say(part, { [IDS[0]!]: row(8, day + 400) });
  assert.equal(count(day + 400), 0);
  await say(part, { [IDS[0]!]: row(8, day + 1) });
  assert.equal(count(day + 1), 8);
  // Clients that are not known yet are counted, but only so many; those that are known always.
  const late = Array.from(
    { length: 50 },
    (_, i) => (part + 64 * (i + 1)).toString(16).padStart(8, "0") + "0".repeat(24),
  );
  await say(part, Object.fromEntries([...late, IDS[0]!].map((id) => [id, row(3)])));
  assert.equal(count(), 3);
  IDS.push(...late);
  const heard = late.map((id) =>
    usage.of(`client ${id}`, { minute, day: { ...NOW, at: day } })!.day.requests
  );
  IDS.splice(-late.length);
  assert.equal(heard.filter((requests) => requests === 3).length, 16);
  for (const { usage } of hosts) usage[Symbol.dispose]();
});

Deno.test("limits over hosts: parts are written at once, by one at a time, and by none that has ended", async () => {
  const clock = { now: 1_800_000_000_000 };
  await using memory = new MemoryFleetStore();
  const puts: PromiseWithResolvers<void>[] = [];
  let [watches, ended] = [0, 0];
  let listed = Promise.withResolvers<void>();
  const store: FleetStore = {
    get: (name) => memory.get(name),
    async put(name, text) {
      const put = Promise.withResolvers<void>();
      puts.push(put);
      await put.promise;
      await memory.put(name, text);
    },
    remove: (name) => memory.remove(name),
    async list(prefix) {
      listed.resolve();
      return await memory.list(prefix);
    },
    async watch(prefix, onChange) {
      watches++;
      const end = await memory.watch(prefix, onChange);
      return () => {
        ended++;
        end();
      };
    },
    async [Symbol.asyncDispose]() {},
  };
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const { hosts: [one, two] } = fleet(clock, () => store);
  const role: Role = { name: "r", requestsPerDay: 90 };
  for (const id of IDS) one!.limiter.admit(`client ${id}`, role);
  const parts = new Set(IDS.map((id) => parseInt(id.slice(0, 8), 16) % 64)).size;
  one!.usage.start();
  const flushes = [one!.usage.flush(), one!.usage.flush()];
  await listed.promise;
  await turn();
  assert.equal(watches, 1);
  assert.equal(puts.length, parts, "none waits for another one");
  // While some get through this host is not alone.
  const sharedBy = () => one!.usage.of(`client ${IDS[0]}`, { minute: NOW, day: NOW })!.sharedBy;
  clock.now += 2000;
  assert.equal(sharedBy(), 3);
  for (const { resolve } of puts) resolve();
  await Promise.all(flushes);
  assert.equal(sharedBy(), 1);
  // What does not get through is written again, and alone it is until then.
  one!.limiter.admit(`client ${IDS[0]}`, role);
  const lost = one!.usage.flush();
  await turn();
  puts.at(-1)!.reject(new Error("lost"));
  await assert.rejects(lost);
  clock.now += 2000;
  assert.equal(sharedBy(), 3);
  one!.usage[Symbol.dispose]();
  const before = puts.length;
  await one!.usage.flush();
  assert.equal(puts.length, before);
  // Ended while it begins: it leaves no watch.
  listed = Promise.withResolvers();
  two!.limiter.admit(`client ${IDS[0]}`, role);
  const late = two!.usage.flush();
  two!.usage[Symbol.dispose]();
  await late;
  assert.deepEqual([watches, ended, puts.length], [2, 2, before]);
});

Deno.test("limits over hosts: while what was kept cannot be read it is told once, what was said stays, and it heals", async () => {
  const clock = { now: 10 * DAY };
  const store = new MemoryFleetStore();
  const { hosts: [one, two], start, unread, told } = fleet(clock, () => store);
  const role: Role = { name: "r", requestsPerDay: 2 };
  const client = `client ${IDS[0]}`;
  two!.usage.start();
  for (let i = 0; i < 2; i++) one!.limiter.admit(client, role);
  await one!.usage.flush();
  await two!.usage.flush();
  assert.equal(left(two!.limiter, client, role), false);
  one!.usage[Symbol.dispose]();

  const damaged = unread[0] = new Error("damaged");
  const again = start(0);
  for (let i = 0; i < 3; i++) await assert.rejects(again.usage.flush(), damaged);
  assert.deepEqual(told, [damaged]);
  await two!.usage.flush();
  assert.equal(left(two!.limiter, client, role), false, "what it said before stays");

  unread[0] = undefined;
  await again.usage.flush();
  assert.equal(left(two!.limiter, client, role), false, "and is said again");
  assert.deepEqual(told, [damaged]);
  for (const { usage } of [again, two!]) usage[Symbol.dispose]();
});
