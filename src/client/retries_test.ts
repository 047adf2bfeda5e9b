import assert from "node:assert/strict";
import { ERROR_TABLE, type ErrorCode, SecLlamaError } from "../errors.ts";
import { GatewayRefusal } from "./refusal.ts";
import { Retries } from "./retries.ts";

const { signal } = new AbortController();

/** The pauses before each further try, ms, when it fails like this again and again. */
async function pausesOf(error: unknown, wasSent = true): Promise<number[]> {
  const pauses: number[] = [];
  let ms = 0;
  const retries = new Retries(signal, (wanted) => {
    ms = wanted;
    return Promise.resolve();
  });
  for (; await retries.after(error, wasSent) !== undefined; ms = 0) {
    pauses.push(ms);
    assert.ok(pauses.length < 10, "it never ends");
  }
  return pauses;
}

const refusal = (code: ErrorCode, retryAfter?: string) =>
  new GatewayRefusal(
    new SecLlamaError(code, "no"),
    new Response(null, {
      status: ERROR_TABLE[code][0],
      headers: retryAfter === undefined ? {} : { "retry-after": retryAfter },
    }),
  );

const OFTEN: ErrorCode[] = [
  "busy",
  "fleet-silent",
  "key-mismatch",
  "other-host",
  "replay-window-full",
];
const ONCE: ErrorCode[] = ["clock", "replay"];

Deno.test("retries: of all codes, those that pass or that another host does not have", async () => {
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
    if (code === "gateway-unreachable") continue; // below: it is lost, not refused
    const tries = (await pausesOf(refusal(code))).length;
    assert.equal(tries, OFTEN.includes(code) ? 3 : ONCE.includes(code) ? 1 : 0, code);
  }
});

Deno.test("retries: a lost connection is tried again, an answer that had begun once only", async () => {
  const lost = [new SecLlamaError("gateway-unreachable", "lost"), refusal("gateway-unreachable")];
  for (const error of lost) assert.equal((await pausesOf(error, true)).length, 3);
  const cut = new SecLlamaError("truncated", "cut");
  assert.equal((await pausesOf(cut, true)).length, 1);
  assert.equal((await pausesOf(cut, false)).length, 3);
  // Between others it counts all the same.
  const retries = new Retries(signal, () => Promise.resolve());
  assert.equal(await retries.after(cut, true), "another-key");
  assert.equal(await retries.after(refusal("key-mismatch"), true), "another-key");
  assert.equal(await retries.after(cut, true), undefined);
});

Deno.test("retries: never before the time that the host named, and not at all if that is long", async () => {
  for (const code of OFTEN) {
    for (const seconds of [0, 1, 5]) {
      const pauses = await pausesOf(refusal(code, String(seconds)));
      assert.ok(pauses.every((ms) => ms >= seconds * 1000), `${code} ${pauses}`);
    }
    assert.deepEqual(await pausesOf(refusal(code, "6")), [], code);
  }
  // A host with too much to do is never asked again at once, whether it says so or not.
  const busy = await pausesOf(refusal("busy"));
  assert.ok(busy.every((ms, i) => ms >= 50 * 2 ** i && ms <= 100 * 2 ** i), `${busy}`);
  assert.equal((await pausesOf(refusal("key-mismatch")))[0], 0);
});
