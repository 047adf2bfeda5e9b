/** When a session is renewed, by a clock of the test's: a provider that comes and goes, a machine that sleeps, the end. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../errors.ts";
import { keepSession } from "./keeper.ts";

const MINUTE = 60_000;

/** Runs until `tries` were made, each answered by `answer`; what was said, with the minute in which it was. */
async function kept(
  answer: (at: number, n: number) => { role: string; life: number } | SecLlamaError,
  { tries = 6, slept = 0 }: { tries?: number; slept?: number } = {},
): Promise<string[]> {
  const stop = new AbortController();
  const said: string[] = [];
  let now = 0;
  let n = 0;
  const say = (what: string) => said.push(`${(now / MINUTE).toFixed(1)} ${what}`);
  await keepSession({
    goOn() {
      if (n === tries) stop.abort();
      const answered = answer(now, n++);
      if (answered instanceof SecLlamaError) return Promise.reject(answered);
      const { role, life } = answered;
      return Promise.resolve({ role, expires: new Date(now + life).toISOString() });
    },
    onKept: ({ role }) => say(role),
    onFailed: (code) => say(`failed: ${code}`),
    onOver: (code) => say(`over: ${code}`),
    signal: stop.signal,
    now: () => now,
    sleep(ms) {
      now += ms + slept;
      return Promise.resolve();
    },
  });
  return said;
}

const away = new SecLlamaError("gateway-unreachable", "away");

Deno.test("session keeper: at once, then when two thirds of what is left have gone by, with the role as it is then", async () => {
  const said = await kept((_, n) => ({ role: n < 3 ? "staff" : "trial", life: 60 * MINUTE }));
  assert.deepEqual(said, [
    "0.0 staff",
    "40.0 staff",
    "80.0 staff",
    "120.0 trial",
    "160.0 trial",
    "200.0 trial",
  ]);
});

Deno.test("session keeper: a provider that is away is said once, and asked again before the session ends", async () => {
  const answer = (at: number) =>
    at > 39 * MINUTE && at < 50 * MINUTE ? away : { role: "staff", life: 60 * MINUTE };
  const said = await kept(answer, { tries: 20 });
  assert.deepEqual(said.slice(0, 2), ["0.0 staff", "40.0 failed: gateway-unreachable"]);
  const back = Number(said[2]!.split(" ")[0]);
  assert.ok(back >= 50 && back <= 51.5, said[2]);
  assert.equal(said.filter((line) => line.includes("failed")).length, 1);
});

Deno.test("session keeper: who is over is told so, and nothing is asked any more", async () => {
  for (const code of ["auth", "role-refused", "not-found"] as const) {
    let asked = 0;
    const said = await kept((_, n) => {
      asked++;
      return n === 0 ? { role: "staff", life: 60 * MINUTE } : new SecLlamaError(code, "no");
    });
    assert.deepEqual(said, ["0.0 staff", `40.0 over: ${code}`]);
    assert.equal(asked, 2);
  }
});

Deno.test("session keeper: a machine that slept asks when it wakes", async () => {
  // Each look at the clock comes an hour late.
  const said = await kept(() => ({ role: "staff", life: 600 * MINUTE }), { slept: 60 * MINUTE });
  assert.ok(said.length >= 5);
  for (const [i, line] of said.entries()) {
    if (i === 0) continue;
    const gap = Number(line.split(" ")[0]) - Number(said[i - 1]!.split(" ")[0]);
    assert.ok(gap >= 400 && gap < 462, `${gap} minutes`);
  }
});

Deno.test("session keeper: a session that is shorter than a pause does not ask without end", async () => {
  const said = await kept(() => ({ role: "staff", life: 1 }), { tries: 10 });
  assert.ok(Number(said.at(-1)!.split(" ")[0]) >= 9 * 5 / 60 - 0.1, said.at(-1));
});
