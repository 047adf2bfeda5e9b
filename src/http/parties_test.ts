import assert from "node:assert/strict";
import type { Connection } from "./connection.ts";
import { Places, siteOf } from "./parties.ts";

interface Fake {
  unprovenSince: number | undefined;
  isIdle: boolean;
  waitingSince: number;
  closed: boolean;
  peer: { hostname: string };
  close(): void;
}

let clock = 0;

function connection(
  state: "silent" | "body" | "idle" | "busy",
  hostname = "127.0.0.1",
): Connection & Fake {
  const fake: Fake = {
    unprovenSince: state === "silent" || state === "body" ? clock++ : undefined,
    isIdle: state === "silent" || state === "idle",
    waitingSince: -Infinity,
    closed: false,
    peer: { hostname },
    close() {
      this.closed = true;
    },
  };
  return fake as unknown as Connection & Fake;
}

/** Places whose victims are closed at once. */
const placesOf = (limit: number) => new Places(limit, (one) => one.close());

/** Opens as many as it is let, at most `count`. */
function open(
  places: Places,
  party: string,
  state: Parameters<typeof connection>[0],
  count: number,
) {
  const opened: Fake[] = [];
  for (let n = 0; n < count; n++) {
    if (!places.makeRoom(party)) break;
    const one = connection(state);
    places.add(one, party);
    opened.push(one);
  }
  return opened;
}

Deno.test("parties: of an address beyond IPv4, the site counts", () => {
  assert.equal(siteOf("192.0.2.7"), "192.0.2.7");
  assert.equal(siteOf("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(siteOf("2001:db8:1:2::3"), siteOf("2001:db8:1:2:ffff::9"));
  assert.notEqual(siteOf("2001:db8:1:2::3"), siteOf("2001:db8:1:3::3"));
});

Deno.test("parties: one whose every connection is at work leaves places for others, and loses none", () => {
  const places = placesOf(512);
  const busy = open(places, "a", "busy", 1000);
  assert.equal(busy.length, 384);
  for (const other of ["b", "c", "d"]) assert.equal(open(places, other, "busy", 1).length, 1);
  assert.ok(busy.every(({ closed }) => !closed));
});

Deno.test("parties: a flood of any kind pushes out itself, and nobody who has less", () => {
  for (const state of ["silent", "body", "idle"] as const) {
    for (const mine of ["silent", "body", "idle", "busy"] as const) {
      const places = placesOf(64);
      const own = open(places, "victim", mine, 3);
      const flood = open(places, "flood", state, 1000);
      assert.equal(flood.length, 1000, "all are let in");
      assert.ok(flood.filter(({ closed }) => !closed).length < 64);
      assert.ok(own.every(({ closed }) => !closed), `${state} against ${mine}`);
      assert.equal(open(places, "victim", "busy", 5).length, 5);
      assert.equal(open(places, "another", "busy", 1).length, 1);
    }
  }
});

Deno.test("parties: who has the most at work does not push out the silent ones of who has less", () => {
  const places = placesOf(16);
  const small = open(places, "small", "silent", 2);
  open(places, "large", "busy", 100);
  assert.ok(small.every(({ closed }) => !closed));
});

Deno.test("parties: one that has just come is not the first to go, whatever the others wait for", () => {
  for (const flood of ["silent", "body"] as const) {
    for (const real of ["silent", "body"] as const) {
      const places = placesOf(64);
      open(places, "a", flood, 100);
      const [mine] = open(places, "a", real, 1);
      open(places, "a", flood, 40);
      assert.equal(mine!.closed, false, `${real} among ${flood}`);
    }
  }
});

Deno.test("parties: of an address with as many as it may have, a silent one makes room, and nobody else's", () => {
  const places = placesOf(64);
  const peer = { hostname: "192.0.2.7", most: 8 };
  const add = (state: Parameters<typeof connection>[0]) => {
    if (!places.makeRoom("192.0.2.7", peer)) return undefined;
    const one = connection(state, peer.hostname);
    places.add(one, "192.0.2.7");
    return one;
  };
  const [other] = open(places, "other", "silent", 1);
  const flood = Array.from({ length: 20 }, () => add("silent"));
  assert.equal(flood.filter((one) => one?.closed === false).length, 8, "no more than it may have");
  const real = Array.from({ length: 8 }, () => add("busy"));
  assert.ok(real.every((one) => one?.closed === false), "its own requests come in");
  assert.equal(add("busy"), undefined, "none is spared");
  assert.equal(other!.closed, false);
});
