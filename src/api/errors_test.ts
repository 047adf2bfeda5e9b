/** One renderer: each code of the table in each dialect, and what clients of that dialect read of it. */
import assert from "node:assert/strict";
import { ERROR_TABLE, type ErrorCode, SecLlamaError } from "../errors.ts";
import { errorDocument, errorResponse, readError, render } from "./errors.ts";
import { dialectOf, routes } from "./routes.ts";
import { BUSY_TEXT } from "./texts.ts";

const PATHS = {
  ollama: "/api/chat",
  openai: "/v1/chat/completions",
  anthropic: "/v1/messages",
  sealed: "/sealed/v1",
} as const;
/** What a setting is to blame for goes out as `misconfigured`. */
const HOSTS_FAULTS: readonly ErrorCode[] = ["bad-config", "bad-environment"];
/** Of a host's files: what is said of these is for its log, too. */
const OF_FILES: readonly ErrorCode[] = ["limits-failed", "audit-failed", "audit-broken"];
const CODES = (Object.keys(ERROR_TABLE) as ErrorCode[])
  .filter((code) => !HOSTS_FAULTS.includes(code) && !OF_FILES.includes(code));

Deno.test("errors: a setting that is wrong is the host's fault, and its text stays there", () => {
  for (const code of HOSTS_FAULTS) {
    for (const path of Object.values(PATHS)) {
      const hint = "see /etc/secret";
      const error = new SecLlamaError(code, "/etc/secret is no file", {
        hint,
        field: "/etc/secret",
      });
      const { status, body } = render(error, path);
      assert.equal(status, 503, path);
      assert.match(body, /misconfigured/);
      assert.doesNotMatch(body, /etc|bad-config|bad-environment/);
      assert.doesNotMatch(JSON.stringify(errorDocument(error, "openai")), /etc/);
    }
  }
  for (const code of OF_FILES) {
    for (const path of Object.values(PATHS)) {
      const { status, body } = render(new SecLlamaError(code, "why", { hint: "do this" }), path);
      assert.equal(status, ERROR_TABLE[code][0], path);
      assert.match(body, new RegExp(code));
      assert.doesNotMatch(body, /why"|do this/);
    }
  }
});

Deno.test("errors: every code in every dialect has the dialect's shape, and ours beside", () => {
  for (const code of CODES) {
    for (const [dialect, path] of Object.entries(PATHS)) {
      const error = new SecLlamaError(code, "why", { hint: "do this", field: "x.y" });
      const { status, headers, body } = render(error, path);
      assert.equal("x-request-id" in headers, dialect === "openai");
      const json = JSON.parse(body);
      const at = `${code} ${dialect}`;
      assert.equal(status, ERROR_TABLE[code][0], at);
      assert.equal(headers["retry-after"], status === 503 || status === 429 ? "1" : undefined, at);
      assert.equal("upgrade" in headers, status === 426, at);
      if (dialect === "sealed") {
        assert.equal(headers["content-type"], "application/problem+json");
        assert.equal(json.type, `urn:secllama:sealed:${code}`);
        continue;
      }
      assert.equal(headers["content-type"], "application/json");
      assert.equal(json.code, code, at);
      assert.equal(json.hint, "do this", at);
      const text = code === "busy" ? BUSY_TEXT : "why";
      if (dialect === "ollama") {
        assert.deepEqual(Object.keys(json), ["error", "code", "hint"], at);
        assert.equal(json.error, text, at);
      } else if (dialect === "openai") {
        const shape = code === "busy" ? null : "x.y";
        assert.deepEqual(Object.keys(json.error), ["message", "type", "param", "code"], at);
        assert.ok([shape, null].includes(json.error.param), at);
        // None of our codes, with their hyphens, may pass as OpenAI's.
        assert.match(String(json.error.code), /^[a-z_]+$/, at);
        assert.equal(json.error.message, `${text} (do this)`, at);
      } else {
        assert.equal(json.type, "error");
        assert.deepEqual(Object.keys(json.error), ["type", "message"], at);
        assert.match(json.request_id, /^req_[0-9a-f]{24}$/, at);
        assert.equal(headers["request-id"], json.request_id, at);
        assert.ok(json.error.message.endsWith(`${text} (do this)`), at);
      }
    }
  }
});

Deno.test("errors: the dialects' own words for what clients act on", () => {
  const words: [ErrorCode, number, string, string | null, string][] = [
    ["model-not-found", 404, "not_found_error", "model_not_found", "not_found_error"],
    ["not-found", 404, "not_found_error", "unknown_url", "not_found_error"],
    ["bad-request", 400, "invalid_request_error", null, "invalid_request_error"],
    [
      "context-too-long",
      400,
      "invalid_request_error",
      "context_length_exceeded",
      "invalid_request_error",
    ],
    ["auth", 401, "invalid_request_error", "invalid_api_key", "authentication_error"],
    ["origin-refused", 403, "permission_error", null, "permission_error"],
    [
      "method-not-allowed",
      405,
      "invalid_request_error",
      "method_not_supported",
      "invalid_request_error",
    ],
    ["too-large", 413, "invalid_request_error", "request_too_large", "request_too_large"],
    [
      "unsupported-media-type",
      415,
      "invalid_request_error",
      "unsupported_content_type",
      "invalid_request_error",
    ],
    ["plaintext-refused", 426, "invalid_request_error", null, "invalid_request_error"],
    ["rate-limited", 429, "requests", "rate_limit_exceeded", "rate_limit_error"],
    ["busy", 503, "requests", "rate_limit_exceeded", "overloaded_error"],
    ["internal", 500, "server_error", "server_error", "api_error"],
    ["gateway-unreachable", 502, "server_error", null, "api_error"],
  ];
  for (const [code, status, openaiType, openaiCode, anthropicType] of words) {
    const error = new SecLlamaError(code, "why");
    const openai = JSON.parse(render(error, PATHS.openai).body).error;
    assert.equal(error.status, status, code);
    assert.deepEqual([openai.type, openai.code], [openaiType, openaiCode], code);
    assert.equal(JSON.parse(render(error, PATHS.anthropic).body).error.type, anthropicType, code);
  }
  const long = render(new SecLlamaError("context-too-long", "why"), PATHS.anthropic);
  assert.match(JSON.parse(long.body).error.message, /^prompt is too long: /);
});

Deno.test("errors: what is no error of ours shows nothing of itself", () => {
  for (const path of Object.values(PATHS)) {
    const { status, body } = render(new TypeError("the secret is kestrel"), path);
    assert.equal(status, 500);
    assert.ok(!body.includes("kestrel"), body);
  }
  assert.ok(!JSON.stringify(errorDocument(new Error("kestrel"), "openai")).includes("kestrel"));
});

Deno.test("errors: 405 names the path's methods, HEAD has no body", async () => {
  for (const row of routes()) {
    const path = row.path.replace(/\{\w+\}/, "a".repeat(32));
    const { headers } = render(new SecLlamaError("method-not-allowed", "no"), path);
    assert.equal(headers["allow"], [...row.methods, "OPTIONS"].join(", "), path);
  }
  const response = errorResponse(new SecLlamaError("not-found", "no"), "/x", "HEAD");
  assert.equal(await response.text(), "");
});

Deno.test("errors: read back from an answer, with a stranger's text bounded", async () => {
  for (const code of CODES) {
    const error = new SecLlamaError(code, "why", { hint: "do" });
    const back = await readError(errorResponse(error, "/api/tags"));
    assert.deepEqual([back.code, back.message, back.hint], [code, "why", "do"]);
  }
  const strange = new Response(
    JSON.stringify({ error: `a\u001b[2J${"x".repeat(999)}`, code: "constructor" }),
    {
      status: 404,
    },
  );
  const back = await readError(strange);
  assert.equal(back.code, "model-not-found");
  assert.equal(back.message.length, 300);
  assert.ok(!back.message.includes("\u001b"));
  assert.equal((await readError(new Response("<html>", { status: 502 }))).code, "model-failed");
});

Deno.test("routes: the dialect of paths that are not served", () => {
  const wanted = {
    "/v1/messages/batches": "anthropic",
    "/v1/messagesx": "openai",
    "/v1/files": "openai",
    "/v1": "openai",
    "/sealed/v2": "sealed",
    "/api/me": "ollama",
    "/favicon.ico": "ollama",
  };
  for (const [path, dialect] of Object.entries(wanted)) {
    assert.equal(dialectOf(path), dialect, path);
  }
});
