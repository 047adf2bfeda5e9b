import assert from "node:assert/strict";
import { isMeantAsServers, parseNatsServers } from "./nats_servers.ts";

/** Every host with every port and end, and what is written of it. */
const HOSTS = ["nats-1", "NATS.example", "a_b", "10.0.0.1", "[::1]", "[fd00::1]"];
const GOOD = HOSTS.flatMap((host) =>
  ["", ":1", ":4222", ":65535"].flatMap((port) =>
    ["", "/"].map((end) => [`tls://${host}${port}${end}`, `tls://${host.toLowerCase()}${port}`])
  )
);
const BAD: readonly (readonly [text: string, why: RegExp])[] = [
  ...["nats", "ws", "wss", "http", "https"].flatMap((scheme) =>
    HOSTS.map((host) =>
      [`${scheme}://${host}:4222`, new RegExp(`begins with ${scheme}://`)] as const
    )
  ),
  ...HOSTS.map((host) => [`${host}:4222`, /does not begin with tls/] as const),
  ...["tls:a:4222", "tls:/a:4222", "//a:4222"].map((text) => [text, /not begin with tls/] as const),
  ...["tls://:4222", "tls://", "tls://a:x", "tls://a:4222:1"].map((text) =>
    [text, /no host name|a port that is no number|brackets/] as const
  ),
  ...["tls://::1:4222", "tls://fd00::1"].map((text) => [text, /brackets/] as const),
  ...["tls://[::zz]:1", "tls://[1.2.3.4]:1", "tls://ü:1", "tls://-:1"].map((text) =>
    [text, /no host name/] as const
  ),
  ...["tls://a:0", "tls://a:65536", "tls://a:99999"].map((text) => [text, /no such port/] as const),
  ...["tls://a:4222/x", "tls://a:4222?x", "tls://a#x", "tls://a\\b"].map((text) =>
    [text, /after its port/] as const
  ),
  ["tls://user:hunter2@a:4222", /a name or a password/],
  ["tls://a:4222 tls://b:4222", /a space/],
];

Deno.test("servers of NATS: each way of one is taken as the same, alone and among others", () => {
  for (const [given, meant] of GOOD) {
    assert.deepEqual(parseNatsServers(given!, "F"), [meant]);
    assert.ok(isMeantAsServers(given!));
    for (const comma of [",", ", ", " ,"]) {
      assert.deepEqual(parseNatsServers(`tls://a${comma}${given}`, "F"), ["tls://a", meant]);
    }
  }
  assert.deepEqual(parseNatsServers(" TLS://a:1 , tls://b, ", "F"), ["tls://a:1", "tls://b"]);
});

Deno.test("servers of NATS: what is wrong with one is said, and nothing of it", () => {
  for (const [given, why] of BAD) {
    for (const text of [given, `tls://b,${given}`, `${given},tls://b`]) {
      assert.throws(
        () => parseNatsServers(text, "--fleet"),
        (error: Error & { code?: string }) => {
          assert.match(error.message, why, text);
          assert.equal(error.code, "bad-config");
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
        text,
      );
      assert.ok(isMeantAsServers(text), text);
    }
  }
  for (const text of ["", ",", "tls://a,,tls://b"]) {
    assert.throws(() => parseNatsServers(text, "F"), /one of them is empty/);
  }
});

Deno.test("servers of NATS: a file or folder is none", () => {
  const paths = [
    "/srv/fleet",
    "/srv/a:4222",
    "/srv/a,b",
    "./nats-1:4222",
    "../out",
    "out",
    "out/in",
  ];
  for (const path of [...paths, "~/out", "C:\\fleet", "C:/fleet", ".", "gpu-1.fleet", "a/b:c"]) {
    assert.ok(!isMeantAsServers(path), path);
  }
});
