import assert from "node:assert/strict";
import { ROUTES } from "../api/routes.ts";
import { PROOF_HEADER } from "../sealed/proof.ts";
import { makeGatewayApp } from "./app.ts";
import type { End } from "./own_user.ts";
import { contextOf, proofOf } from "./testing.ts";

/** A gateway at a real port, with a doctor that ends when it is told to. Who asks proves a key. */
async function withGateway(
  o: { remote: boolean; peer?: End },
  body: (
    ask: () => Promise<Response>,
    end: (report: unknown) => void,
    runs: () => number,
  ) => Promise<void>,
): Promise<void> {
  let runs = 0;
  let end: (report: unknown) => void = () => {};
  const context = contextOf({
    remote: o.remote,
    doctor: () => {
      runs++;
      return new Promise((resolve) => end = resolve);
    },
  });
  const app = makeGatewayApp(context);
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, { remoteAddr }) => {
      const peer = remoteAddr as Deno.NetAddr;
      return app.fetch(request, { peer: o.peer ?? peer, local: server.addr });
    },
  );
  const ask = () => {
    const body = new TextEncoder().encode("{}");
    const request = { method: "POST", target: ROUTES.doctor.path, body };
    return fetch(`http://127.0.0.1:${server.addr.port}${ROUTES.doctor.path}`, {
      method: "POST",
      headers: { "content-type": "application/json", [PROOF_HEADER]: proofOf(request) },
      body,
    });
  };
  try {
    await body(ask, (report) => end(report), () => runs);
  } finally {
    end(null);
    await server.shutdown();
  }
}

Deno.test("doctor: runs for the host's own user, once at a time, and gives its report as the last line", () =>
  withGateway({ remote: false }, async (ask, end, runs) => {
    const first = await ask();
    assert.equal(first.status, 200);
    const second = await ask();
    assert.deepEqual([second.status, (await second.json()).code], [503, "busy"]);
    end({ verdict: "holds" });
    const lines = (await first.text()).trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines[0], { running: 0 });
    assert.deepEqual(lines.at(-1), { report: { verdict: "holds" } });
    const third = await ask();
    assert.equal(third.status, 200);
    end({ verdict: "fails" });
    assert.match(await third.text(), /"report":\{"verdict":"fails"\}/);
    assert.equal(runs(), 2);
  }));

Deno.test("doctor: who came from elsewhere, is another user, or asks where other machines do, has nothing run", async () => {
  const strangers = [
    { remote: false, peer: { hostname: "192.0.2.7", port: 9 } },
    // A paired client whose tunnel ends at this user on loopback.
    { remote: true },
    // No socket of this machine: nobody knows whose it is.
    ...Deno.build.os === "linux"
      ? [{ remote: false, peer: { hostname: "127.0.0.1", port: 1 } }]
      : [],
  ];
  for (const one of strangers) {
    await withGateway(one, async (ask, _end, runs) => {
      const refused = await ask();
      assert.deepEqual([refused.status, (await refused.json()).code], [403, "management-refused"]);
      assert.equal(runs(), 0);
    });
  }
});
