/** Limits, against a plain list of all that was ever asked: by generation, over restarts, with clocks that jump. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SecLlamaError } from "../errors.ts";
import type { Role } from "../keys/mod.ts";
import { Limiter, standing, type Ticket, type Usage, type UsageStore } from "./limiter.ts";
import { UsageFile } from "./usage_file.ts";
import { seeded } from "../../tests/support/seeds.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;

class Memory implements UsageStore {
  readonly kept = new Map<string, Usage>();
  load(client: string) {
    return this.kept.get(client);
  }
  save(client: string, usage: Usage) {
    this.kept.set(client, usage);
  }
}

function refusal(run: () => unknown): SecLlamaError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, String(error));
    assert.equal(error.code, "rate-limited");
    return error;
  }
}

Deno.test("limits: as a list of everything that was asked would have it", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed);
    const upTo = (n: number) => 1 + Math.floor(random() * n);
    const some = (n: number) => random() < 0.3 ? {} : { n: upTo(n) };
    const role: Role = {
      name: "r",
      ...("n" in some(1) ? { requestsPerMinute: upTo(6) } : {}),
      ...("n" in some(1) ? { requestsPerDay: upTo(20) } : {}),
      ...("n" in some(1) ? { tokensPerMinute: upTo(300) } : {}),
      ...("n" in some(1) ? { tokensPerDay: upTo(900) } : {}),
      ...("n" in some(1) ? { atOnce: upTo(3) } : {}),
    };
    let now = 1_800_000_000_000 + upTo(DAY);
    const store = new Memory();
    let limiter = new Limiter(store, () => now);
    const log: { of: "requests" | "tokens"; at: number; n: number; id?: number }[] = [];
    const open = new Map<number, Ticket>();
    for (let step = 0; step < 250; step++) {
      now += random() < 0.1 ? upTo(DAY) : upTo(20_000);
      const used = (of: "requests" | "tokens", length: number) =>
        log.filter((one) =>
          one.of === of && Math.floor(one.at / length) === Math.floor(now / length)
        )
          .reduce((sum, { n }) => sum + n, 0);
      const what = random();
      if (what < 0.6) {
        const full = [
          [role.requestsPerMinute, used("requests", MINUTE)],
          [role.requestsPerDay, used("requests", DAY)],
          [role.tokensPerMinute, used("tokens", MINUTE)],
          [role.tokensPerDay, used("tokens", DAY)],
          [role.atOnce, open.size],
        ].some(([limit, n]) => limit !== undefined && n! >= limit);
        let ticket: Ticket | undefined;
        const error = refusal(() => ticket = limiter.admit("c", role));
        assert.equal(error !== undefined, full, `seed ${seed} step ${step}`);
        if (ticket !== undefined) {
          open.set(step, ticket);
          log.push({ of: "requests", at: now, n: 1, id: step });
        }
      } else if (open.size > 0) {
        const [id, ticket] = [...open][Math.floor(random() * open.size)]!;
        if (what < 0.8) {
          const n = upTo(120);
          ticket.used(n);
          log.push({ of: "tokens", at: now, n });
        } else if (what < 0.9) {
          ticket.end();
          ticket.end();
          open.delete(id);
        } else {
          ticket.end();
          ticket.refund();
          ticket.refund();
          open.delete(id);
          log.splice(log.findIndex((one) => one.id === id), 1);
        }
      } else if (what > 0.95) {
        limiter = new Limiter(store, () => now);
      }
    }
  }
});

Deno.test("limits: the error says which, and when it is whole again", () => {
  let now = Date.UTC(2030, 0, 1, 12, 0, 15);
  const limiter = new Limiter(new Memory(), () => now);
  const role: Role = { name: "staff", requestsPerMinute: 2, tokensPerDay: 100 };
  limiter.admit("c", role).used(10);
  limiter.admit("c", role).end();
  const error = refusal(() => limiter.admit("c", role))!;
  assert.match(error.message, /limit of 2 requests a minute/);
  assert.deepEqual(error.limits, [
    { of: "requests", per: "minute", limit: 2, remaining: 0, resetS: 45 },
    { of: "tokens", per: "day", limit: 100, remaining: 90, resetS: 12 * 3600 - 15 },
  ]);
  // Another client has its own.
  limiter.admit("d", role).end();
  now += 45_000;
  limiter.admit("c", role).used(90);
  assert.match(refusal(() => limiter.check("c", role))!.message, /100 tokens a day/);
});

Deno.test("limits: a clock that is set back opens no new minute and no new day", () => {
  let now = Date.UTC(2030, 0, 2, 0, 0, 30);
  const limiter = new Limiter(new Memory(), () => now);
  const role: Role = { name: "r", requestsPerDay: 1 };
  limiter.admit("c", role).end();
  now -= DAY;
  assert.ok(refusal(() => limiter.check("c", role)));
  now += 2 * DAY;
  limiter.check("c", role);
});

Deno.test("limits: a clock that ran ahead for a while holds nobody up longer than its minute and its day", () => {
  const role: Role = { name: "r", requestsPerMinute: 2, requestsPerDay: 4 };
  for (const ahead of [200_000, 3_600_000, DAY, 400 * DAY]) {
    const noon = Date.UTC(2030, 0, 2, 12, 0, 30);
    let now = noon + ahead;
    const store = new Memory();
    let limiter = new Limiter(store, () => now);
    for (let i = 0; i < 2; i++) limiter.admit("c", role).end();
    now = noon;
    // Over a restart, too.
    for (let i = 0; i < 2; i++) {
      limiter = new Limiter(store, () => now);
      const { limits } = refusal(() => limiter.check("c", role))!;
      assert.deepEqual(limits!.map(({ resetS }) => resetS), [30, 12 * 3600 - 30], `${ahead}`);
    }
    now += 30_000;
    for (let i = 0; i < 2; i++) limiter.admit("c", role).end();
    now += 60_000;
    assert.match(refusal(() => limiter.check("c", role))!.message, /4 requests a day/);
    now += DAY;
    limiter.check("c", role);
  }
});

Deno.test("limits: what was used outlives the process, and a file that another holds is written later", async () => {
  const folder = await Deno.makeTempDir();
  const role: Role = { name: "r", requestsPerDay: 3, tokensPerDay: 50 };
  try {
    let other: DatabaseSync;
    {
      const errors: unknown[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      using file = UsageFile.open(folder, (error) => {
        errors.push(error);
        resolve();
      });
      const limiter = new Limiter(file);
      other = new DatabaseSync(join(folder, "usage.db"));
      other.exec("BEGIN IMMEDIATE");
      limiter.admit("c", role).used(20);
      // The file's own timer keeps no process alive.
      const hold = setInterval(() => {}, 1_000);
      await promise;
      clearInterval(hold);
      // Still counted, in memory.
      assert.equal(standing(role, file.load("c"), Date.now())[0]!.remaining, 2);
      other.exec("ROLLBACK");
      assert.equal(errors.length, 1);
    }
    other.close();
    assert.deepEqual(
      standing(role, UsageFile.read(folder).get("c"), Date.now()).map(({ remaining }) => remaining),
      [2, 30],
    );
    {
      using file = UsageFile.open(folder);
      const limiter = new Limiter(file);
      limiter.admit("c", role).used(30);
      assert.ok(refusal(() => limiter.admit("c", role)));
    }
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(join(folder, "usage.db"))).mode! & 0o777, 0o600);
    }
    await Deno.writeTextFile(join(folder, "usage.db"), "no database at all, ".repeat(500));
    assert.throws(() => UsageFile.open(folder), { code: "limits-failed" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
