/** Attacks on a server of this machine. Each first succeeds against bare `Deno.serve`, then fails against the listener. */
import assert from "node:assert/strict";
import { ask, bare, hardened, pause, Raw, testRules } from "./testing.ts";
import { until } from "../../tests/support/patience.ts";

const HOST = "Host: localhost\r\n";
const echoPath = (request: Request) => new Response(`served ${new URL(request.url).pathname}`);

/** Sends the same bytes to both and returns the statuses: [bare, hardened]. */
async function both(
  text: string,
  handler: (request: Request) => Response | Promise<Response> = echoPath,
): Promise<{ bare: Raw; ours: Raw }> {
  const open = bare(handler);
  const server = await hardened({ handler });
  try {
    using a = await ask(open.port, text);
    using b = await ask(server.port, text);
    return { bare: a, ours: b };
  } finally {
    await open.stop();
    await server.stop();
  }
}

async function refused(text: string, status: number, bareStatus = 200) {
  const { bare: a, ours } = await both(text);
  assert.equal(a.status, bareStatus, `bare Deno.serve: ${a.text}`);
  assert.equal(ours.status, status, ours.text);
  assert.ok(!ours.text.includes("served /"));
  assert.match(ours.text, /connection: close\r\n/);
}

Deno.test("attack: DNS rebinding, a page whose own name now points here (CVE-2024-28224)", () =>
  refused("GET /api/tags HTTP/1.1\r\nHost: evil.example:11434\r\n\r\n", 403));

Deno.test("attack: 0.0.0.0 as Host, which browsers once let through to localhost", () =>
  refused("GET /api/tags HTTP/1.1\r\nHost: 0.0.0.0:11434\r\n\r\n", 403));

Deno.test("attack: a page of another origin, and one in a sandbox", async () => {
  for (const origin of ["null", "http://evil.example", "http://localhost:3000"]) {
    await refused(
      `POST /api/chat HTTP/1.1\r\n${HOST}Origin: ${origin}\r\nContent-Length: 0\r\n\r\n`,
      403,
    );
  }
  await refused(`GET /api/tags HTTP/1.1\r\n${HOST}Sec-Fetch-Site: cross-site\r\n\r\n`, 403);
});

Deno.test("attack: a form's POST, which a browser sends without asking first", async () => {
  for (
    const type of ["text/plain", "Text/Plain; charset=utf-8", "multipart/form-data; boundary=x"]
  ) {
    const { bare: a, ours } = await both(
      `POST /api/chat HTTP/1.1\r\n${HOST}Content-Type: ${type}\r\nContent-Length: 2\r\n\r\n{}`,
    );
    assert.equal(a.status, 200);
    assert.equal(ours.status, 415, ours.text);
  }
  // curl -d says application/x-www-form-urlencoded, and a browser that says so names its origin.
  const { ours } = await both(
    `POST /api/chat HTTP/1.1\r\n${HOST}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\n{}`,
  );
  assert.equal(ours.status, 200);
});

Deno.test("attack: Host pasted into the URL changes the path (CVE-2026-49468)", async () => {
  const text = "GET /api/tags HTTP/1.1\r\nHost: x/pub?\r\n\r\n";
  const { bare: a, ours } = await both(text);
  assert.match(a.text, /served \/pub/, "bare Deno.serve routes by Host");
  assert.equal(ours.status, 400);
});

Deno.test("attack: a path that changes its meaning on the way", async () => {
  const seen: string[] = [];
  const handler = (request: Request) => {
    seen.push(request.url);
    return new Response("served");
  };
  const { bare: a, ours } = await both(`GET /x/../api/tags HTTP/1.1\r\n${HOST}\r\n`, handler);
  assert.equal(a.status, 200);
  assert.deepEqual(seen, ["http://localhost/x/../api/tags"], "bare passes dot segments on");
  assert.equal(ours.status, 400);
});

Deno.test("attack: no Host, an empty one, two of them; a target that names another host", async () => {
  await refused("GET / HTTP/1.1\r\n\r\n", 400);
  // Here the runtime is strict as well.
  await refused("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400, 400);
  await refused(`GET http://evil.example/ HTTP/1.1\r\n${HOST}\r\n`, 400);
});

Deno.test("attack: smuggling with two framings", async () => {
  const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
  // Here the runtime is strict as well; it stays so here whatever the runtime does.
  for (
    const line of [
      "Transfer-Encoding: gzip, chunked",
      "Transfer-Encoding : chunked",
      "X: a\r\n b: c",
    ]
  ) {
    const { ours } = await both(`POST / HTTP/1.1\r\n${HOST}${line}\r\n\r\n0\r\n\r\n${smuggled}`);
    assert.ok([400, 501].includes(ours.status), ours.text);
    assert.ok(!ours.text.includes("smuggled"));
  }
  for (
    const body of [
      "5\nhello\r\n0\r\n\r\n",
      "-1\r\n",
      "fffffffff\r\n",
      "5\r\nhelloX",
      "g\r\n",
      "0x5\r\n",
    ]
  ) {
    const server = await hardened({
      handler: async (r) => new Response(`served ${await r.text()}`),
    });
    try {
      using raw = await ask(
        server.port,
        `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${body}${smuggled}`,
      );
      assert.equal(raw.status, 400, `${JSON.stringify(body)}: ${raw.text}`);
      assert.ok(await raw.end());
      assert.ok(!raw.text.includes("smuggled"));
    } finally {
      await server.stop();
    }
  }
});

/** Opens the same slow client on both servers; bare must still wait when ours has long ended it. */
async function slow(
  o: { opening: string; drip?: string; limits: Record<string, number>; status?: number },
  handler: (request: Request) => Response | Promise<Response> = echoPath,
) {
  const open = bare(handler);
  const server = await hardened({ handler, limits: o.limits });
  try {
    using a = await Raw.open(open.port);
    using b = await Raw.open(server.port);
    for (const raw of [a, b]) if (o.opening) await raw.send(o.opening);
    for (let i = 0; i < 20 && !b.ended; i++) {
      if (o.drip) { for (const raw of [a, b]) await raw.send(o.drip).catch(() => {}); }
      await pause(60);
    }
    assert.ok(await b.end(), `still open: ${b.text}`);
    assert.equal(b.status, o.status ?? 0, b.text);
    assert.ok(!a.ended, "bare Deno.serve ended it by itself");
    // Ours is gone although the client has not closed its end.
    await until(() => server.connections() === 0, "the connection is gone");
  } finally {
    await server.stop();
    await open.stop();
  }
}

Deno.test("attack: a silent connection", () => slow({ opening: "", limits: { headMs: 300 } }));

Deno.test("attack: a head that never ends", () =>
  slow({ opening: `GET / HTTP/1.1\r\n${HOST}`, limits: { headMs: 300 }, status: 408 }));

Deno.test("attack: a head that drips (slowloris)", () =>
  slow({
    opening: `GET / HTTP/1.1\r\n${HOST}`,
    drip: "X: y\r\n",
    limits: { headMs: 500 },
    status: 408,
  }));

const readBody = async (request: Request) => {
  try {
    return new Response(`served ${(await request.arrayBuffer()).byteLength}`);
  } catch (error) {
    return new Response((error as Error).message, {
      status: (error as { status?: number }).status ?? 500,
    });
  }
};
const POST_1000 = `POST / HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\n`;

Deno.test("attack: a body that stops", () =>
  slow({ opening: `${POST_1000}abc`, limits: { bodyPauseMs: 300 }, status: 408 }, readBody));

Deno.test("attack: a body that drips, each pause short enough", () =>
  slow(
    { opening: POST_1000, drip: "a", limits: { bodyPauseMs: 1000, bodyMs: 400 }, status: 408 },
    readBody,
  ));

Deno.test("attack: a kept connection that stays idle", () =>
  slow({ opening: `GET / HTTP/1.1\r\n${HOST}\r\n`, limits: { idleMs: 300 }, status: 200 }));

Deno.test("attack: a head too large, a body too large, announced or not", async () => {
  const server = await hardened({ handler: readBody, rules: testRules(10_000) });
  try {
    using head = await ask(server.port, `GET / HTTP/1.1\r\n${HOST}X: ${"a".repeat(40_000)}`);
    assert.equal(head.status, 431);
    using announced = await ask(
      server.port,
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 10001\r\n\r\n${"a".repeat(10_001)}`,
    );
    assert.equal(announced.status, 413);
    const chunk = `1000\r\n${"a".repeat(4096)}\r\n`;
    using chunked = await ask(
      server.port,
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}0\r\n\r\n`,
    );
    assert.equal(chunked.status, 413);
    for (const raw of [head, announced, chunked]) assert.ok(await raw.end());
    // The client that is refused while it still sends gets to read why, instead of a reset.
    const response = await fetch(`http://127.0.0.1:${server.port}/`, {
      method: "POST",
      body: new Uint8Array(2_000_000),
    });
    assert.equal(response.status, 413);
    await response.body?.cancel();
  } finally {
    await server.stop();
  }
});

Deno.test("attack: all connections taken by silent ones; a newcomer is still served", async () => {
  const server = await hardened({ handler: echoPath, limits: { connections: 8, headMs: 60_000 } });
  const silent: Raw[] = [];
  try {
    for (let i = 0; i < 8; i++) silent.push(await Raw.open(server.port));
    await pause(600);
    using raw = await ask(server.port, `GET /in HTTP/1.1\r\n${HOST}\r\n`);
    assert.match(raw.text, /served \/in/);
    assert.ok(server.connections() <= 2 * 8);
    // A quarter of the places is left to other users: two of the silent ones went for that, and one for the newcomer.
    await until(() => silent.filter((s) => s.ended).length === 3, "three have gone, in time");
    for (const one of silent.filter((s) => !s.ended)) {
      await one.send(`GET /late HTTP/1.1\r\n${HOST}\r\n`);
      assert.ok(await one.until(/served \/late/));
    }
  } finally {
    silent.forEach((s) => s[Symbol.dispose]());
    await server.stop();
  }
});

Deno.test("attack: all connections at work; a newcomer gets 503 and nobody is cut", async () => {
  const release = Promise.withResolvers<void>();
  let working = 0;
  const server = await hardened({
    limits: { connections: 4 },
    handler: async () => {
      working++;
      await release.promise;
      return new Response("done");
    },
  });
  const busy: Raw[] = [];
  try {
    // As many as one user may have of them.
    for (let i = 0; i < 3; i++) {
      busy.push(await (await Raw.open(server.port)).send(`GET / HTTP/1.1\r\n${HOST}\r\n`));
    }
    await until(() => working === 3, "all are at work");
    using extra = await ask(server.port, `GET / HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal(extra.status, 503);
    assert.ok(await extra.end());
    // Who asks nothing is not waited for.
    using silent = await Raw.open(server.port);
    assert.ok(await silent.end());
    assert.equal(working, 3);
    release.resolve();
    for (const raw of busy) assert.ok(await raw.until(/done$/));
  } finally {
    busy.forEach((s) => s[Symbol.dispose]());
    await server.stop();
  }
});

Deno.test("attack: a client that takes nothing of its answer", async () => {
  let made = 0;
  let cancelled = false;
  const server = await hardened({
    limits: { writePauseMs: 1_000 },
    handler: (request) => {
      if (new URL(request.url).pathname !== "/endless") return echoPath(request);
      return new Response(
        new ReadableStream({
          pull(controller) {
            made++;
            controller.enqueue(new Uint8Array(64 * 1024));
          },
          cancel: () => void (cancelled = true),
        }),
      );
    },
  });
  try {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await conn.write(new TextEncoder().encode(`GET /endless HTTP/1.1\r\n${HOST}\r\n`));
    await until(() => made > 0, "it is answered");
    let soFar = 0;
    while (soFar !== made) {
      soFar = made;
      await pause(100);
    }
    // Others are served meanwhile, and no more is produced than the sockets' buffers hold.
    using other = await ask(server.port, `GET /x HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal(other.status, 200);
    await pause(100);
    assert.ok(made - soFar < 8 && made < 1000, `${made} chunks`);
    await until(() => cancelled, "the answer is cancelled");
    await until(() => server.connections() === 1, "its connection is closed");
    conn.close();
  } finally {
    await server.stop();
  }
});

Deno.test("attack: clients that go away free what they held", async () => {
  const events: string[] = [];
  const server = await hardened({
    handler: async (request) => {
      const path = new URL(request.url).pathname;
      if (path === "/body") {
        await request.arrayBuffer().catch((error) => events.push(`body ${error.code}`));
        return new Response();
      }
      const gone = new Promise<void>((resolve) =>
        request.signal.addEventListener("abort", () => resolve(), { once: true })
      );
      if (path === "/wait") {
        await gone;
        events.push("wait aborted");
        return new Response();
      }
      return new Response(
        new ReadableStream({
          async pull(controller) {
            controller.enqueue(new TextEncoder().encode("token"));
            await Promise.race([gone, pause(20)]);
          },
          cancel: () => void events.push("stream cancelled"),
        }),
      );
    },
  });
  try {
    for (
      const [path, expected] of [["/wait", "wait aborted"], [
        "/stream",
        "stream cancelled",
      ]] as const
    ) {
      events.length = 0;
      const raw = await Raw.open(server.port);
      await raw.send(`POST ${path} HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\n{}`);
      await pause(100);
      raw[Symbol.dispose]();
      await until(() => events.includes(expected), `${path}: ${expected}`);
    }
    const raw = await Raw.open(server.port);
    await raw.send(`POST /body HTTP/1.1\r\n${HOST}Content-Length: 200\r\n\r\n{}`);
    await pause(50);
    raw[Symbol.dispose]();
    await until(() => events.includes("body cancelled"), "the body is cancelled");
    await until(() => server.connections() === 0, "the connection is closed");
  } finally {
    await server.stop();
  }
});

Deno.test("attack: garbage on the wire, torn at every place; the server goes on", async () => {
  const server = await hardened({ handler: readBody, limits: { headMs: 200, bodyPauseMs: 200 } });
  const valid = [
    `POST /a HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`,
    `POST /b HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  ].join("");
  let seed = 1;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  try {
    for (let round = 0; round < 20; round++) {
      const batch = Array.from({ length: 20 }, async () => {
        const bytes = Uint8Array.from(valid, (c) => c.charCodeAt(0));
        for (let k = random(4); k > 0; k--) bytes[random(bytes.length)] = random(256);
        const cut = random(bytes.length);
        using raw = await Raw.open(server.port);
        await raw.send(bytes.subarray(0, cut)).catch(() => {});
        if (random(2)) await raw.send(bytes.subarray(cut)).catch(() => {});
        if (random(2)) await raw.until(/\r\n\r\n/, 100);
        assert.ok([0, 200, 400, 403, 405, 408, 413, 415, 501, 505].includes(raw.status), raw.text);
      });
      await Promise.all(batch);
    }
    using raw = await ask(server.port, valid);
    assert.ok(await raw.until(/served 3[^]*served 3$/));
  } finally {
    await server.stop();
  }
});
