import assert from "node:assert/strict";
import { ERROR_TABLE, type ErrorCode, SecLlamaError } from "../errors.ts";
import { fromProblem, problemResponse, toProblem } from "./problems.ts";

Deno.test("statuses of the codes on the wire", () => {
  const wanted: [ErrorCode, number][] = [
    ["malformed", 400],
    ["unsupported-suite", 400],
    ["auth", 401],
    ["model-not-found", 404],
    ["replay", 409],
    ["too-large", 413],
    ["plaintext-refused", 426],
    ["key-mismatch", 422],
    ["clock", 425],
    ["busy", 503],
    ["replay-window-full", 503],
  ];
  for (const [code, status] of wanted) {
    const problem = toProblem(new SecLlamaError(code, "why", { hint: "do" }));
    assert.equal(problem.status, status, code);
    assert.equal(problem.type, `urn:secllama:sealed:${code}`);
    assert.ok(problem.title.length > 8);
  }
});

Deno.test("every code survives the way there and back", () => {
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
    const back = fromProblem(JSON.parse(JSON.stringify(toProblem(new SecLlamaError(code, "why")))));
    assert.equal(back?.code, code);
  }
});

Deno.test("auth and internal tell no detail", async () => {
  for (const code of ["auth", "internal"] as const) {
    const error = new SecLlamaError(code, "the secret is 42", {
      hint: "42",
      cause: new Error("42"),
    });
    const response = problemResponse(error);
    const text = await response.text();
    assert.ok(!text.includes("42"), text);
    assert.deepEqual(Object.keys(JSON.parse(text)), ["type", "title", "status"]);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
  }
});

Deno.test("what is no problem of ours is none, and its text cannot forge lines", () => {
  const foreign = [null, 1, [], {}, { type: "about:blank" }, { type: "urn:secllama:sealed:nope" }];
  foreign.push({ type: "urn:secllama:sealed:toString" }, { type: 1 } as never);
  for (const value of foreign) assert.equal(fromProblem(value), undefined);
  const error = fromProblem({
    type: "urn:secllama:sealed:busy",
    detail: "a\n\u001b[31merror: b" + "x".repeat(1000),
    hint: 3,
  });
  assert.equal(error?.message.length, 300);
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\x00-\x1f]/.test(error!.message));
  assert.equal(error?.hint, undefined);
});
