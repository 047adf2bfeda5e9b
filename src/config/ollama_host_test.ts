/** `OLLAMA_HOST`: Ollama's own table of cases, and generated texts against Go's algorithm, step by step. */
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { canBeHost, isEverywhere, parseOllamaHost } from "./ollama_host.ts";

/** `net.SplitHostPort` as its documentation and its errors say; undefined: one of them. */
function splitHostPort(text: string): [host: string, port: string] | undefined {
  const last = text.lastIndexOf(":");
  if (last < 0) return undefined; // missing port
  let host: string;
  let [from, after] = [0, 0];
  if (text[0] === "[") {
    const end = text.indexOf("]");
    if (end < 0 || end + 1 !== last) return undefined; // missing ']', missing port, too many colons
    host = text.slice(1, end);
    [from, after] = [1, end + 1];
  } else {
    host = text.slice(0, last);
    if (host.includes(":")) return undefined; // too many colons
  }
  if (text.indexOf("[", from) >= 0 || text.indexOf("]", after) >= 0) return undefined;
  return [host, text.slice(last + 1)];
}

/** `net.ParseIP` and its `String`: one spelling for each address; undefined: it is none. */
function ip(text: string): string | undefined {
  const kind = isIP(text);
  return kind === 6 ? new URL(`http://[${text}]`).hostname.slice(1, -1) : kind ? text : undefined;
}

/** `envconfig.Host`. */
function oracle(text: string) {
  let defaultPort = 11434;
  let rest = text.trim();
  const cut = rest.indexOf("://");
  if (cut >= 0) {
    const scheme = rest.slice(0, cut);
    rest = rest.slice(cut + 3);
    if (scheme === "http") defaultPort = 80;
    if (scheme === "https") defaultPort = 443;
  }
  if (rest.includes("/")) rest = rest.slice(0, rest.indexOf("/"));
  const pair = splitHostPort(rest);
  if (pair === undefined) {
    let bare = rest;
    while (bare !== "" && "[]".includes(bare[0]!)) bare = bare.slice(1);
    while (bare !== "" && "[]".includes(bare.at(-1)!)) bare = bare.slice(0, -1);
    return { host: ip(bare) ?? (rest || "127.0.0.1"), port: defaultPort, portIgnored: false };
  }
  const [host, port] = pair;
  // strconv.ParseInt(port, 10, 32)
  const digits = port.replace(/^[+-]/, "");
  const number = digits !== "" && [...digits].every((c) => c >= "0" && c <= "9")
    ? Number(digits) * (port.startsWith("-") ? -1 : 1)
    : NaN;
  const taken = number <= 65535 && number >= 0;
  return { host, port: taken ? Math.abs(number) : defaultPort, portIgnored: !taken };
}

/** One spelling for each address. */
const canonical = (host: string) => ip(host) ?? host;

/** Texts that are nearly addresses. */
function text(chance: () => number): string {
  const one = (of: readonly string[]) => of[Math.floor(chance() * of.length)]!;
  const pieces = [
    () => one(["", "", "http://", "https://", "HTTP://", "tcp://", "://", "http:/", "unix://"]),
    () =>
      one([
        ...["", "localhost", "127.0.0.1", "0.0.0.0", "example.com", "::1", "[::1]", "::", "[::]"],
        ...[
          "[fe80::1]",
          "[127.0.0.1]",
          "[127.0.0.01]",
          "2001:db8::7",
          "::ffff:1.2.3.4",
          "[",
          "]",
          "[]",
          ":",
          "[:]",
          "a:b",
          "[[::1]]",
        ],
        ...["256.1.1.1", "01.2.3.4", "1.2.3", "[::1", "::1]", "x[y]", "[a]b"],
      ]),
    () => one(["", "", ":", ":0", ":80", ":1234", ":65535", ":65536", ":-1", ":-0", ":+7", ":007"]),
    () => one(["", "", "", ":1", ":http", ":1e3", ": 1", ":99999999999999999999"]),
    () => one(["", "", "/", "/path", "/a:1", "//", "?q=:9", "/://x"]),
  ];
  return (chance() < 0.1 ? " " : "") + pieces.map((piece) => piece()).join("") +
    (chance() < 0.1 ? "\t" : "");
}

Deno.test("OLLAMA_HOST: the cases of Ollama's own test", () => {
  for (
    const [text, host, port] of [
      ["", "127.0.0.1", 11434],
      ["1.2.3.4", "1.2.3.4", 11434],
      [":1234", "", 1234],
      ["1.2.3.4:1234", "1.2.3.4", 1234],
      ["example.com", "example.com", 11434],
      ["example.com:56789", "example.com", 56789],
      [":0", "", 0],
      [":66000", "", 11434],
      [":-1", "", 11434],
      ["[::1]", "::1", 11434],
      ["[::]", "::", 11434],
      ["::1", "::1", 11434],
      ["[::1]:1337", "::1", 1337],
      [" 1.2.3.4 ", "1.2.3.4", 11434],
      ["http://1.2.3.4", "1.2.3.4", 80],
      ["http://1.2.3.4:4321", "1.2.3.4", 4321],
      ["https://1.2.3.4", "1.2.3.4", 443],
      ["https://1.2.3.4:4321", "1.2.3.4", 4321],
      ["https://example.com/ollama", "example.com", 443],
    ] as const
  ) {
    const { portIgnored: _, ...read } = parseOllamaHost(text);
    assert.deepEqual(read, { host, port }, text);
  }
});

Deno.test("OLLAMA_HOST: generated texts, against Go's algorithm", () => {
  const seen = new Set<string>();
  for (const seed of seeds(4000)) {
    const given = text(seeded(seed));
    const [read, want] = [parseOllamaHost(given), oracle(given)];
    seen.add(JSON.stringify(want));
    assert.deepEqual(
      { ...read, host: canonical(read.host) },
      { ...want, host: canonical(want.host) },
      `${JSON.stringify(given)}, seed ${seed}`,
    );
  }
  assert.ok(seen.size > 100, `${seen.size} different results`);
});

Deno.test("OLLAMA_HOST: what can be no host, and what is every address", () => {
  for (const host of ["[:]", ":", "a b", "a:b", "1.2.3.4:5:6", "::g", "x[y]", "a\nb", "ä"]) {
    assert.equal(canBeHost(host), false, host);
  }
  for (const host of ["", "localhost", "1.2.3.4", "::1", "fe80::1%eth0", "my_box.lan"]) {
    assert.equal(canBeHost(host), true, host);
  }
  for (const host of ["::1", "0.0.0.1", "::ffff:127.0.0.1", "", "localhost", "zero"]) {
    assert.equal(isEverywhere(host), false, host);
  }
});
