/** Floods of connections that show nothing: a real request is served while the flood goes on, and none is refused. */
import assert from "node:assert/strict";
import { ownUid } from "./peer.ts";
import { ask, hardened, Raw } from "./testing.ts";
import { until } from "../../tests/support/patience.ts";

const HOST = "Host: localhost\r\n";
const MOST = 16;
const readBody = async (request: Request) => new Response(`read ${(await request.text()).length}`);

const FLOODS: readonly [what: string, bytes: string][] = [
  ["silent connections", ""],
  ["heads that stop", "GET / HTTP/1.1\r\nHos"],
  ["bodies that stop", `POST / HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\n{`],
  [
    "chunked bodies that stop",
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nab`,
  ],
];

const CROWDS: readonly [what: string, method: string, bodyBytes?: number][] = [
  ["requests without a body", "GET"],
  ["small bodies", "POST", 200],
  ["bodies of many reads", "POST", 3_000_000],
];

for (const [what, bytes] of FLOODS) {
  Deno.test(`shares: ${what} of the same user, four times the places; each real request is served`, async () => {
    const server = await hardened({ handler: readBody, limits: { connections: MOST } });
    const flood: Raw[] = [];
    try {
      for (let round = 0; round < 8; round++) {
        for (let count = 0; count < MOST / 2; count++) {
          flood.push(await (await Raw.open(server.port)).send(bytes));
        }
        const request =
          `POST / HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: 3\r\n\r\nabc`;
        using real = await ask(server.port, request);
        assert.equal(real.status, 200, real.text);
        assert.match(real.text, /read 3$/);
      }
      assert.ok(
        server.connections() <= 2 * MOST,
        "as many as the places are told that there is none",
      );
      assert.ok(flood.some((one) => !one.ended), "the flood is still there");
    } finally {
      flood.forEach((one) => one[Symbol.dispose]());
      await server.stop();
    }
  });
}

Deno.test("shares: bodies that stop make room also while no handler comes to read them; whole ones do not", async () => {
  const release = Promise.withResolvers<void>();
  const server = await hardened({
    limits: { connections: MOST },
    handler: async (request) => {
      if (new URL(request.url).pathname === "/late") await release.promise;
      return await readBody(request);
    },
  });
  const late = (body: string) =>
    `POST /late HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: 3\r\n\r\n${body}`;
  const opened: Raw[] = [];
  const open = async (bytes: string) => {
    const raw = await (await Raw.open(server.port)).send(bytes);
    opened.push(raw);
    return raw;
  };
  try {
    const whole = await Promise.all([1, 2, 3].map(() => open(late("abc"))));
    for (let count = 0; count < 4 * MOST; count++) {
      await open(count % 2 === 0 ? late("a") : FLOODS.at(-1)![1].replace("POST /", "POST /late"));
      if (count % MOST !== 0) continue;
      using real = await ask(server.port, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
      assert.equal(real.status, 200, real.text);
    }
    release.resolve();
    for (const one of whole) {
      assert.ok(await one.end());
      assert.match(one.text, /200 OK[^]*read 3$/);
    }
  } finally {
    release.resolve();
    opened.forEach((one) => one[Symbol.dispose]());
    await server.stop();
  }
});

Deno.test("shares: of a crowd that asks at once, each is served or told that there is no place, to be read", async () => {
  for (const [what, method, body] of CROWDS) {
    const release = Promise.withResolvers<void>();
    const server = await hardened({
      limits: { connections: MOST },
      handler: async (request) => {
        await request.text();
        await release.promise;
        return new Response("done");
      },
    });
    try {
      // As clients do it: by fetch, which throws at a connection that is reset.
      using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
      let told = 0;
      // As many as are served and told at once.
      const crowd = Array.from({ length: 1.5 * MOST }, async () => {
        const response = await fetch(`http://127.0.0.1:${server.port}/api/chat`, {
          method,
          client,
          ...(body === undefined ? {} : { body: new Uint8Array(body) }),
        });
        if (response.status === 503) told++;
        return { status: response.status, text: await response.text() };
      });
      await until(() => told >= MOST / 2, `${what}: who is not served is told`);
      release.resolve();
      for (const { status, text } of await Promise.all(crowd)) {
        if (status === 200) assert.equal(text, "done", what);
        else {
          assert.equal(status, 503, what);
          assert.match(text, /"server busy, .*"code":"busy"/, what);
        }
      }
      // A quarter is left to other users.
      assert.ok(told <= MOST, `${what}: ${told} were not served`);
    } finally {
      release.resolve();
      await server.stop();
    }
  }
});

/** The system's own: one in root's home is closed to another user. */
const PYTHON = "/usr/bin/python3";
const hasPython = await Deno.stat(PYTHON).then(() => true, () => false);
const canBeAnother = Deno.build.os === "linux" && ownUid() === 0 && hasPython;
if (!canBeAnother) {
  console.log(`skipped: another user's flood; only root can be another user, by ${PYTHON}`);
}
Deno.test({
  name: "shares: another user's flood pushes out itself, and none of the owner's connections",
  ignore: !canBeAnother,
  async fn() {
    const server = await hardened({ handler: readBody, limits: { connections: MOST } });
    const own: Raw[] = [];
    // As nobody: opens more connections than there are places, says so, and holds them until its input ends.
    const script = `
import socket, sys
held = [socket.create_connection(("127.0.0.1", ${server.port})) for _ in range(${3 * MOST})]
print("open", flush=True)
sys.stdin.read()`;
    const other = new Deno.Command("setpriv", {
      args: ["--reuid=65534", "--regid=65534", "--clear-groups", PYTHON, "-c", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    try {
      for (let count = 0; count < 3; count++) own.push(await Raw.open(server.port));
      const reader = other.stdout.getReader();
      assert.match(new TextDecoder().decode((await reader.read()).value), /open/);
      using real = await ask(server.port, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
      assert.equal(real.status, 200, real.text);
      for (const one of own) {
        assert.ok(!one.ended);
        await one.send(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
        assert.ok(await one.end());
        assert.equal(one.status, 200);
      }
      await reader.cancel();
    } finally {
      own.forEach((one) => one[Symbol.dispose]());
      await other.stdin.close();
      await other.status;
      await server.stop();
    }
  },
});

Deno.test({
  name:
    "shares: on a listener for one user, another's flood takes none of its places, and is told why",
  ignore: !canBeAnother,
  async fn() {
    const server = await hardened({
      handler: readBody,
      limits: { connections: MOST },
      sameUidOnly: true,
    });
    // As nobody: more silent connections than there are places, then one that asks.
    const script = `
import socket, sys
held = [socket.create_connection(("127.0.0.1", ${server.port})) for _ in range(${8 * MOST})]
one = held[-1]
one.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
print(one.recv(4096).decode(), flush=True)
sys.stdin.read()`;
    const other = new Deno.Command("setpriv", {
      args: ["--reuid=65534", "--regid=65534", "--clear-groups", PYTHON, "-c", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const own: Raw[] = [];
    try {
      const reader = other.stdout.getReader();
      assert.match(new TextDecoder().decode((await reader.read()).value), /403[^]*peer-refused/);
      for (let count = 0; count < MOST / 2; count++) {
        own.push(await ask(server.port, `GET / HTTP/1.1\r\n${HOST}\r\n`));
      }
      assert.deepEqual(own.map(({ status }) => status), own.map(() => 200));
      assert.ok(own.every(({ ended }) => !ended));
      assert.ok(server.connections() <= own.length + 16, "of the others few are kept");
      await reader.cancel();
    } finally {
      own.forEach((one) => one[Symbol.dispose]());
      await other.stdin.close();
      await other.status;
      await server.stop();
    }
  },
});
