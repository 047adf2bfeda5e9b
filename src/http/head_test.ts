import assert from "node:assert/strict";
import { inProportion } from "../../tests/support/patience.ts";
import { utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { type Head, headEnd, type HeadPolicy, parseHead } from "./head.ts";
import { Refusal } from "./refusal.ts";

const POLICY: HeadPolicy = {
  allowedHosts: new Set(["127.0.0.1", "localhost", "[::1]"]),
  allowedOrigins: new Set(["https://app.example"]),
  maxBodyBytes: () => 1000,
  tooLarge: (most) => new SecLlamaError("too-large", `over ${most} bytes`),
};
const HOST = "Host: localhost:11434";

const parse = (...lines: string[]): Head =>
  parseHead(Uint8Array.from(lines.join("\r\n") + "\r\n\r\n", (c) => c.charCodeAt(0)), POLICY);

function refuses(status: number, code: string, ...lines: string[]) {
  assert.throws(() => parse(...lines), (error) => {
    assert.ok(error instanceof Refusal, String(error));
    assert.deepEqual([error.status, error.code], [status, code], lines.join(" | "));
    return true;
  }, lines.join(" | "));
}

Deno.test("head: an ordinary request", () => {
  const head = parse(
    "POST /api/chat?x=1 HTTP/1.1",
    "Host: LOCALHOST:11434",
    "Content-Type: application/json",
    "CONTENT-LENGTH: 12",
    "X-Pad:   a b  ",
    "Expect: 100-continue",
    "Connection: keep-alive",
  );
  assert.equal(head.method, "POST");
  assert.equal(head.target, "/api/chat?x=1");
  assert.equal(head.host, "localhost:11434");
  assert.equal(head.contentLength, 12);
  assert.equal(head.expectsContinue, true);
  assert.equal(head.keepAlive, true);
  assert.deepEqual(head.fields, [
    ["host", "LOCALHOST:11434"],
    ["content-type", "application/json"],
    ["content-length", "12"],
    ["x-pad", "a b"],
  ]);
});

Deno.test("head: what is legal and less common is taken", () => {
  assert.equal(parse("GET http://localhost:11434/a?b HTTP/1.1", HOST).target, "/a?b");
  assert.equal(parse("GET http://LOCALHOST:11434 HTTP/1.1", HOST).target, "/");
  assert.equal(parse("GET / HTTP/1.1", "Host: [::1]:80").host, "[::1]:80");
  assert.equal(parse("GET / HTTP/1.0", HOST).keepAlive, false);
  assert.equal(parse("GET / HTTP/1.0").host, "localhost");
  refuses(400, "bad-request", "GET / HTTP/1.0", HOST, HOST);
  refuses(400, "bad-request", "GET / HTTP/1.0", "Host:");
  for (const host of ["localhost.", "LocalHost.:11434", "127.0.0.1.", "[::1]", "[::1]:11434"]) {
    assert.equal(parse("GET / HTTP/1.1", `Host: ${host}`).host, host.toLowerCase());
  }
  for (const host of ["evil.example.", "localhost.evil.example."]) {
    refuses(403, "host-refused", "GET / HTTP/1.1", `Host: ${host}`);
  }
  for (
    const [asked, target] of [
      ["//api/chat", "/api/chat"],
      ["/v1//chat/completions", "/v1/chat/completions"],
      ["///api///chat//?a=//b", "/api/chat/?a=//b"],
      ["http://localhost:11434//api/chat", "/api/chat"],
      ["//evil.example/api/chat", "/evil.example/api/chat"],
    ] as const
  ) assert.equal(parse(`POST ${asked} HTTP/1.1`, HOST).target, target);
  assert.equal(parse("GET / HTTP/1.1", HOST, "Connection: foo, Close").keepAlive, false);
  assert.equal(
    parse("POST / HTTP/1.1", HOST, "Transfer-Encoding: Chunked").contentLength,
    undefined,
  );
  assert.equal(parse("POST / HTTP/1.1", HOST).contentLength, 0);
  assert.equal(parse("GET / HTTP/1.1", HOST, "Content-Length: 0").contentLength, 0);
  assert.equal(parse("GET /v1/models/a%20b/ HTTP/1.1", HOST).target, "/v1/models/a%20b/");
  assert.equal(parse("GET /a?x=../.. HTTP/1.1", HOST).target, "/a?x=../..");
  for (
    const origin of ["http://localhost:11434", "https://localhost:11434", "https://App.example"]
  ) {
    parse("GET / HTTP/1.1", HOST, `Origin: ${origin}`);
  }
  for (const site of ["none", "same-origin"]) {
    parse("GET / HTTP/1.1", HOST, `Sec-Fetch-Site: ${site}`);
  }
});

Deno.test("head: request lines", () => {
  const line = (status: number, text: string) => refuses(status, "bad-request", text, HOST);
  for (
    const text of [
      "",
      "GET /",
      "GET  / HTTP/1.1",
      "GET / HTTP/1.1 ",
      " GET / HTTP/1.1",
      "get / HTTP/1.1",
      "GET\t/ HTTP/1.1",
      "GET / HTTP/11",
      "GET /a b HTTP/1.1",
      "GET /\x01 HTTP/1.1",
      "GET /\xe9 HTTP/1.1",
      "GET /\x7f HTTP/1.1",
      "GET /\0 HTTP/1.1",
      "GET / http/1.1",
    ]
  ) line(400, text);
  for (const version of ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"]) {
    line(505, `GET / ${version}`);
  }
  line(505, "PRI * HTTP/2.0");
  refuses(405, "method-not-allowed", "CONNECT localhost:11434 HTTP/1.1", HOST);
  refuses(405, "method-not-allowed", "TRACE / HTTP/1.1", HOST);
  line(501, "BREW / HTTP/1.1");
  line(414, `GET /${"a".repeat(9000)} HTTP/1.1`);
  for (
    const target of [
      "*",
      "localhost:11434",
      "/./a",
      "/a/../api/tags",
      "/a/%2e%2e/b",
      "/a/.%2E/b",
      "/a/..",
      "/a\\..\\b",
      "/a%2fb",
      "/a%5Cb",
      "/a%00",
      "/a%zz",
      "/a%2",
      "/a#b",
      "/a{b}",
      "http://localhost/x",
      "http://evil.example/x",
      "http://localhost:11434@evil.example/",
      "https://localhost:11434/",
      "ftp://localhost:11434/",
      "http:///a",
    ]
  ) line(400, `GET ${target} HTTP/1.1`);
});

Deno.test("head: Host must be one, well-formed and allowed (CVE-2024-28224, CVE-2026-49468)", () => {
  const get = "GET / HTTP/1.1";
  refuses(400, "bad-request", get);
  refuses(400, "bad-request", get, "Host:");
  refuses(400, "bad-request", get, HOST, HOST);
  refuses(400, "bad-request", get, HOST, "host: evil.example");
  for (
    const host of [
      "x/pub?",
      "localhost/",
      "localhost:",
      "localhost:123456",
      "localhost:11434:1",
      "user@localhost",
      "local host",
      "localhost,evil.example",
      "[::1",
      "::1",
      "localhost..",
      "[::1].",
      "-localhost",
      "[fe80::1%25eth0]",
      "a".repeat(300),
    ]
  ) refuses(400, "bad-request", get, `Host: ${host}`);
  for (
    const host of [
      "evil.example",
      "evil.example:11434",
      "0.0.0.0:11434",
      "127.0.0.2",
      "2130706433",
      "[::]",
    ]
  ) {
    refuses(403, "host-refused", get, `Host: ${host}`);
  }
});

Deno.test("head: foreign origins, also those that hide", () => {
  const get = "GET / HTTP/1.1";
  for (
    const origin of [
      "null",
      "",
      "http://evil.example",
      "http://localhost:3000",
      "http://localhost",
      "http://localhost:11434.evil.example",
      "http://evil.example#localhost:11434",
      "https://app.example.evil.example",
      "file://",
      "chrome-extension://abc",
    ]
  ) refuses(403, "origin-refused", get, HOST, `Origin: ${origin}`);
  refuses(400, "bad-request", get, HOST, "Origin: http://localhost:11434", "Origin: null");
  for (const site of ["cross-site", "same-site", "", "None"]) {
    refuses(403, "origin-refused", get, HOST, `Sec-Fetch-Site: ${site}`);
  }
});

Deno.test("head: framing that two parsers could read differently", () => {
  const post = "POST / HTTP/1.1";
  const bad = (status: number, ...lines: string[]) =>
    refuses(status, "bad-request", post, HOST, ...lines);
  bad(400, "Content-Length: 5", "Transfer-Encoding: chunked");
  bad(400, "Transfer-Encoding: chunked", "Content-Length: 5");
  bad(400, "Content-Length: 5", "Content-Length: 5");
  bad(400, "Content-Length: 5", "Content-Length: 6");
  for (const n of ["5, 5", "+5", "-1", "0x5", "5 ", " 5a", "", "1e3", "9".repeat(20), "٥"]) {
    if (n.trim() === "5") continue;
    bad(400, `Content-Length: ${n}`);
  }
  for (
    const te of [
      "gzip",
      "chunked, chunked",
      "gzip, chunked",
      "identity",
      "x",
      "",
      "chunked;q=1",
      "xchunked",
    ]
  ) {
    bad(501, `Transfer-Encoding: ${te}`);
  }
  bad(501, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked");
  bad(400, "Transfer-Encoding : chunked");
  bad(400, "Content-Length : 5");
  bad(400, "X: a", " folded: b");
  bad(400, "X: a", "\tfolded");
  bad(400, ": empty");
  bad(400, "no colon");
  bad(400, "X\x00Y: a");
  bad(400, "X: a\nTransfer-Encoding: chunked");
  bad(400, "X: a\rTransfer-Encoding: chunked");
  bad(400, "X: a\x0b");
  bad(400, "X: \xff");
  bad(400, "X(y): a");
  bad(400, "Expect: the-unexpected");
  bad(431, ...Array(101).fill("X: y"));
  refuses(413, "too-large", post, HOST, "Content-Length: 1001");
  refuses(400, "bad-request", "POST / HTTP/1.0", HOST, "Transfer-Encoding: chunked");
  refuses(400, "bad-request", "GET / HTTP/1.1", HOST, "Content-Length: 5");
  refuses(400, "bad-request", "GET / HTTP/1.1", HOST, "Transfer-Encoding: chunked");
});

Deno.test("head: its end is found however it arrives", () => {
  const bytes = utf8("GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n");
  const end = 24;
  assert.equal(headEnd(bytes), end);
  for (let n = 0; n < end; n++) assert.equal(headEnd(bytes.subarray(0, n)), -1);
  for (let from = 0; from <= end - 4; from++) assert.equal(headEnd(bytes, from), end);
  assert.equal(headEnd(utf8("\n\n\n\r\n\n\r\r\n")), -1);
  assert.equal(headEnd(utf8("\r\n\r\n")), 4);
});

Deno.test("head: random bytes are refused as such, never otherwise", () => {
  const parts = [
    "GET ",
    "/",
    " HTTP/1.1",
    "\r\n",
    HOST,
    ":",
    " ",
    "\0",
    "\xff",
    "\n",
    "a",
    "chunked",
  ];
  for (let n = 0; n < 3000; n++) {
    let text = n % 2 ? `GET / HTTP/1.1\r\n${HOST}\r\n` : "";
    for (let i = 0; i < 8; i++) text += parts[(n * 31 + i * i * 7 + (n >> i)) % parts.length];
    try {
      parse(text);
    } catch (error) {
      assert.ok(error instanceof Refusal, `${JSON.stringify(text)}: ${error}`);
    }
  }
});

Deno.test("head: a run of spaces within a value costs time in proportion, and around it is left out", async () => {
  const value = `a${"\t ".repeat(15_000)}b`;
  await inProportion("two hundred of 30,000 spaces", () => {
    for (let n = 0; n < 200; n++) {
      const { fields } = parse("GET / HTTP/1.1", HOST, `X-A: \t ${value}\t `);
      assert.deepEqual(fields.at(-1), ["x-a", value]);
    }
  });
});
