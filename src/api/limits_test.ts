/** Limits on the wire, and as each dialect's clients read them. */
import assert from "node:assert/strict";
import { type LimitState, SecLlamaError } from "../errors.ts";
import { errorResponse } from "./errors.ts";
import { limitHeaders, readLimits, writeLimits } from "./limits.ts";
import { fromProblem, toProblem } from "./problems.ts";

const STATES: LimitState[] = [
  { of: "requests", per: "minute", limit: 60, remaining: 59, resetS: 12 },
  { of: "requests", per: "day", limit: 100, remaining: 0, resetS: 3723 },
  { of: "tokens", per: "day", limit: 1000, remaining: 10, resetS: 90 },
  { of: "at-once", per: undefined, limit: 2, remaining: 1, resetS: 1 },
];

Deno.test("limits: read as they are written; a stranger's line is none", () => {
  assert.deepEqual(readLimits(writeLimits(STATES)), STATES);
  assert.deepEqual(fromProblem(toProblem(over()))!.limits, STATES);
  for (
    const text of [
      "",
      "requests",
      "requests;per=year;limit=1;remaining=1;reset=1",
      `${writeLimits(STATES)}, `,
      `${writeLimits(STATES)}\r\nx: y`,
      "requests;per=minute;limit=1;remaining=-1;reset=1",
      Array(9).fill(writeLimits(STATES.slice(0, 1))).join(", "),
      null,
      7,
    ]
  ) assert.equal(readLimits(text), undefined, String(text));
});

Deno.test("limits: each dialect's own headers, of the limit that is nearest", () => {
  assert.deepEqual(limitHeaders(STATES, "openai"), {
    "x-ratelimit-limit-requests": "100",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "1h2m3s",
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-remaining-tokens": "10",
    "x-ratelimit-reset-tokens": "1m30s",
  });
  const headers = limitHeaders(STATES, "anthropic", Date.UTC(2030, 0, 1));
  assert.equal(headers["anthropic-ratelimit-requests-reset"], "2030-01-01T01:02:03Z");
  assert.equal(headers["anthropic-ratelimit-tokens-remaining"], "10");
});

Deno.test("limits: 429 in every dialect, with when to come again", async () => {
  for (
    const [path, type] of [
      ["/v1/chat/completions", "requests"],
      ["/v1/messages", "rate_limit_error"],
      ["/api/chat", undefined],
    ] as const
  ) {
    const answer = errorResponse(over(), path);
    assert.equal(answer.status, 429);
    assert.equal(answer.headers.get("retry-after"), "3723");
    assert.equal(answer.headers.get("x-should-retry"), "false");
    const { error, code } = await answer.json();
    assert.equal(code, "rate-limited");
    if (type !== undefined) assert.equal(error.type, type);
  }
});

function over(): SecLlamaError {
  return new SecLlamaError("rate-limited", "the limit of 100 requests a day is reached", {
    limits: STATES,
  });
}
