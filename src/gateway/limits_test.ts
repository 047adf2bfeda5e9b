/** Whether a role lets a request be, and what its runner is told. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import type { PairedClient, Role } from "../keys/mod.ts";
import { ClientLimits, settle } from "./limits.ts";

const PSK_ID = "client.0011223344556677.0102030405060708090a0b0c0d0e0f10";

const HASH = "ab".repeat(32);

function rig(role: Role) {
  const clock = {
    now: Date.parse("2026-11-30T12:00Z"),
    revoked: false,
    /** Why it is not known whether it was revoked. */
    unknown: undefined as unknown,
  };
  const refused: unknown[] = [];
  const limits = new ClientLimits({
    book: {
      client: () => ({ name: "laptop", role: "r", kind: "machine" } as unknown as PairedClient),
      role: () => role,
    },
    apps: {
      byId: (id) => ({ id, name: "app", role: "r" }),
      byHash: (id, hash) => hash === HASH ? { id, name: "app", role: "r" } : undefined,
      wasRevoked() {
        if (clock.unknown !== undefined) throw clock.unknown;
        return clock.revoked;
      },
    },
    limiter() {
      throw new Error("nothing is counted");
    },
    now: () => clock.now,
    onRefused: (code, who) => refused.push([code, who["client"]]),
  });
  return { limits, clock, refused };
}

function refusal(run: () => unknown): SecLlamaError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "it was let in" });
}

Deno.test("limits: outside the role's hours a client and a program are refused, with the hours; inside they are not", () => {
  const hours = "mon-fri 08:00-18:00";
  const { limits, clock, refused } = rig({ name: "r", hours, timeZone: "Europe/Berlin" });
  const app = "0123456789ab";
  const all = [
    () => limits.check(PSK_ID, "demo:latest"),
    () => limits.admit(PSK_ID, null, "demo:latest"),
    () => limits.admit("local.0011223344556677", app, "demo:latest"),
  ];
  for (const ask of all) ask();
  clock.now = Date.parse("2026-11-30T17:00Z");
  for (const ask of all) {
    const { code, hint, status } = refusal(ask);
    assert.deepEqual([code, status], ["role-refused", 403]);
    assert.equal(hint, `it may ask ${hours} (Europe/Berlin)`);
  }
  assert.deepEqual(refused.map((one) => String(one)), [
    "role-refused,laptop",
    "role-refused,laptop",
    "role-refused,app",
  ]);
  // This machine's own programs have no role.
  limits.admit("local.0011223344556677", null, "demo:latest");
});

Deno.test("limits: what only the runner can keep goes with the exchange, and with no other", () => {
  const kinds = ["chat"] as const;
  const { limits } = rig({ name: "r", kinds, replyTokens: 5 });
  const terms = { role: "r", kinds, replyTokens: 5 };
  assert.deepEqual(limits.admit(PSK_ID, null, "demo:latest").terms, terms);
  assert.deepEqual(limits.admit("local.00", "0123456789ab", "demo:latest").terms, terms);
  assert.equal(limits.admit("local.00", null, "demo:latest").terms, undefined);
  assert.equal(rig({ name: "r" }).limits.admit(PSK_ID, null, "demo:latest").terms, undefined);
});

Deno.test("limits: a request that its runner refuses does not count", () => {
  for (const [result, counts] of [["role-refused", false], ["answered", true]] as const) {
    let refunds = 0;
    settle({ limits: () => [], used() {}, end() {}, refund: () => refunds++ }, result);
    assert.equal(refunds, counts ? 0 : 1, result);
  }
});

Deno.test("limits: a token that was shown to a proxy which knows none counts by its hash, and by nothing less", () => {
  const { limits, refused } = rig({ name: "r", kinds: ["chat"] });
  const admit = (app: string) => limits.admit("local.00", app, "demo:latest");
  assert.equal(admit(`0123456789ab.${HASH}`).terms?.role, "r");
  const wrong = ["-", "", ".", `0123456789ab.`, `0123456789ab.${HASH.slice(1)}`];
  wrong.push(
    `0123456789ab.${"ac".repeat(32)}`,
    `0123456789ab.${HASH}00`,
    `.${HASH}`,
    "0123456789AB",
  );
  for (const app of wrong) assert.equal(refusal(() => admit(app)).code, "token-refused", app);
  assert.equal(refused.length, wrong.length);
});

Deno.test("limits: what runs under a token ends when it is taken back, and nothing else does", () => {
  const { limits, clock } = rig({ name: "r" });
  const ended: string[] = [];
  const run = (app: string | null, pskId = "local.00") =>
    limits.admit(pskId, app, "demo:latest").follow((error) => ended.push(`${app} ${error.code}`));
  run("0123456789ab");
  run("0123456789ab")();
  run(null);
  run("0123456789ab", PSK_ID);
  limits.running.look();
  assert.deepEqual(ended, [], "it lives");
  clock.revoked = true;
  limits.running.look();
  limits.running.look();
  assert.deepEqual(ended, ["0123456789ab token-refused"]);
});

Deno.test("limits: while it is not known whose tokens live, what runs under them ends for that reason, and is not called revoked", () => {
  const unread = new SecLlamaError("key-corrupt", "the list of tokens cannot be read");
  const of = (unknown: unknown) => {
    const { limits, clock } = rig({ name: "r" });
    const ended: SecLlamaError[] = [];
    for (let i = 0; i < 2; i++) {
      limits.admit("local.00", "0123456789ab", "demo:latest").follow((error) => ended.push(error));
    }
    limits.running.look();
    assert.deepEqual(ended, [], "it lives");
    clock.unknown = unknown;
    for (let i = 0; i < 2; i++) limits.running.look();
    return ended;
  };
  assert.deepEqual(of(unread), [unread, unread]);
  assert.deepEqual(of(new TypeError("a fault of ours")).map(({ code }) => code), [
    "internal",
    "internal",
  ]);
});
