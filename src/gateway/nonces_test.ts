import assert from "node:assert/strict";
import { Nonces } from "./nonces.ts";

Deno.test("nonces: each is taken once of a client, until it is forgotten", () => {
  const nonces = new Nonces({ all: 100, each: 50, lifeMs: 10 });
  assert.equal(nonces.take("a", "1", 0), "taken");
  assert.equal(nonces.take("a", "1", 9), "used");
  assert.equal(nonces.take("b", "1", 9), "taken");
  assert.equal(nonces.take("a", "1", 10), "taken");
  assert.equal(nonces.take("b", "1", 10), "used");
});

Deno.test("nonces: a client has no more than its own, and all again once they are forgotten", () => {
  const nonces = new Nonces({ all: 4000, each: 500, lifeMs: 10 });
  const taken = (client: string, nowMs: number) => {
    let count = 0;
    while (nonces.take(client, `${nowMs} ${count}`, nowMs) === "taken") count++;
    return count;
  };
  assert.equal(taken("a", 0), 500);
  assert.equal(nonces.take("b", "x", 0), "taken");
  assert.equal(nonces.take("a", "x", 9), "full");
  assert.equal(nonces.take("a", "0 0", 9), "used", "also of who has no more");
  assert.equal(taken("a", 10), 500);
});

Deno.test("nonces: however many clients ask without end together, one more is heard", () => {
  const nonces = new Nonces({ all: 2000, each: 400, lifeMs: 10 });
  for (let client = 0; client < 20; client++) {
    let heard = 0;
    while (nonces.take(`client.${client}`, String(heard), 0) === "taken") heard++;
    // Five that have four hundred each would leave nothing.
    assert.ok(heard >= 16, `client ${client} was never heard`);
  }
});
