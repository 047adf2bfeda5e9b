import assert from "node:assert/strict";
import { type Place, QueuePlaces } from "./queue_places.ts";

interface Asked {
  readonly place: Place;
  evicted: boolean;
}

/** Takes places until there is none, at most `most`. */
function takeAll(
  places: QueuePlaces,
  client: string,
  { arrives, shared = true, most = 10_000 }: { arrives: boolean; shared?: boolean; most?: number },
): Asked[] {
  const asked: Asked[] = [];
  while (asked.length < most) {
    const one: { place?: Place; evicted: boolean } = { evicted: false };
    try {
      one.place = places.take(client, { shared, evict: () => void (one.evicted = true) });
    } catch (error) {
      assert.equal((error as { code?: string }).code, "busy");
      break;
    }
    if (arrives) one.place.arrived();
    asked.push(one as Asked);
  }
  return asked;
}

Deno.test("queue: a client alone has all; one that may be joined leaves a quarter", () => {
  const size = { slots: 4, waiting: 508 };
  assert.equal(takeAll(new QueuePlaces(size), "a", { arrives: true, shared: false }).length, 512);
  const places = new QueuePlaces(size);
  assert.equal(takeAll(places, "a", { arrives: true }).length, 384);
  for (const client of ["b", "c", "d"]) {
    assert.ok(takeAll(places, client, { arrives: true }).length > 0, client);
  }
});

Deno.test("queue: no queue at all still gives one client every slot", () => {
  assert.equal(
    takeAll(new QueuePlaces({ slots: 4, waiting: 0 }), "a", { arrives: true }).length,
    4,
  );
});

Deno.test("queue: what has not come whole makes room, of who has the most; what has come stays", () => {
  const places = new QueuePlaces({ slots: 2, waiting: 62 });
  const flood = takeAll(places, "flood", { arrives: false, shared: false, most: 600 });
  assert.equal(flood.length, 600, "a flood of the only client's pushes out itself");
  const real = takeAll(places, "real", { arrives: true, most: 20 });
  assert.equal(real.length, 20);
  assert.ok(real.every(({ evicted }) => !evicted));
  // The same, by one who names the same client as the real requests come from.
  const same = new QueuePlaces({ slots: 2, waiting: 62 });
  takeAll(same, "a", { arrives: false, shared: false, most: 600 });
  assert.equal(takeAll(same, "a", { arrives: true, shared: false, most: 64 }).length, 64);
});

Deno.test("queue: who has the most of what has come whole pushes out nobody's that is on its way", () => {
  const places = new QueuePlaces({ slots: 2, waiting: 62 });
  const small = takeAll(places, "small", { arrives: false, most: 2 });
  takeAll(places, "large", { arrives: true });
  assert.ok(small.every(({ evicted }) => !evicted));
});

Deno.test("queue: a place that was given back twice is one place", () => {
  const places = new QueuePlaces({ slots: 1, waiting: 1 });
  const [one, two] = takeAll(places, "a", { arrives: true, shared: false });
  one!.place.leave();
  one!.place.leave();
  assert.equal(takeAll(places, "a", { arrives: true, shared: false }).length, 1);
  two!.place.leave();
});
