/**
 * What each balancer of packaging/balancers does to a request and an answer on their way. Behind it are two simulated hosts, with the
 * listener that hosts have: a piece of an answer is passed on at once, a client that goes away is known to its host, no POST is
 * repeated that a host has had, and the longest request comes whole.
 */
import assert from "node:assert/strict";
import { listenerRules } from "../../src/api/listener_rules.ts";
import { SEALED_TYPE } from "../../src/api/media_types.ts";
import { SEALED_BYTES } from "../../src/api/routes.ts";
import { serveHardened } from "../../src/http/mod.ts";
import { silentLogger } from "../../src/log.ts";
import { settled } from "../support/patience.ts";
import { type Balancer, BALANCERS, missingPrograms, startBalancer } from "./balancers.ts";

const missing = await missingPrograms();
if (missing.length > 0) console.log(`skipped: balancers; not there: ${missing.join(", ")}`);

type Kind = keyof typeof BALANCERS;
const KINDS = Object.keys(BALANCERS) as Kind[];
/** Of an answer; the kernel lets a piece that may be held back wait for 0.2 s each time. */
const PIECES = 10;
/** The first of them are on their way sooner in any case. */
const BEFORE = 2;
/** What is asked again if a host says so, and what never is. */
const [KEY, SEALED] = ["/sealed/v1/key", "/sealed/v1"];

/** Two hosts, `gpu-1` and `gpu-2`, with one answer to all but the question whether they are there. */
async function startHosts() {
  const ending = new AbortController();
  const hosts = {
    answer: (_request: Request): Response | Promise<Response> => new Response(),
  };
  const servers = await Promise.all([1, 2].map(() =>
    serveHardened({
      ...{ hostname: "127.0.0.1", port: 0, allowedHosts: ["secllama.lan"], logger: silentLogger },
      rules: listenerRules(),
      signal: ending.signal,
      handler: (request) => {
        const isCheck = new URL(request.url).pathname === "/readyz";
        return isCheck ? new Response("") : hosts.answer(request);
      },
    })
  ));
  return Object.assign(hosts, {
    ports: servers.map(({ addr }) => addr.port),
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.all(servers.map(({ finished }) => finished));
    },
  });
}

type Hosts = Awaited<ReturnType<typeof startHosts>>;

const sealed = (url: string, init: RequestInit = {}, query = "") =>
  fetch(url + SEALED + query, {
    method: "POST",
    body: new Uint8Array(400),
    headers: { "content-type": SEALED_TYPE, "secllama-runner": "gpu-1.0011223344556677" },
    ...init,
  });

/** An answer of `left` pieces, each made when it is asked for. */
function inPieces(left: number) {
  let next = Promise.withResolvers<void>();
  next.resolve();
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      await next.promise;
      next = Promise.withResolvers();
      if (left-- === 0) controller.close();
      else controller.enqueue(new Uint8Array(600));
    },
  }, { highWaterMark: 0 });
  return { body, next: () => next.resolve() };
}

/** How long the quickest piece of an answer took, ms; each is made only when the one before it is here. */
async function quickestPiece(hosts: Hosts, { url }: Balancer): Promise<number> {
  const pieces = inPieces(PIECES);
  hosts.answer = () => new Response(pieces.body);
  const answer = await sealed(url);
  const took: number[] = [];
  let at = performance.now();
  for await (const _ of answer.body!) {
    took.push(performance.now() - at);
    at = performance.now();
    pieces.next();
  }
  assert.ok(took.length >= PIECES);
  return Math.min(...took.slice(BEFORE));
}

/** A client that leaves while it waits for its answer's first or second piece. @returns When its host hears it. */
async function leave(hosts: Hosts, { url }: Balancer, when: "before" | "within") {
  const gone = Promise.withResolvers<void>();
  const came = Promise.withResolvers<void>();
  const pieces = inPieces(PIECES);
  hosts.answer = async (request) => {
    await request.arrayBuffer();
    request.signal.addEventListener("abort", () => gone.resolve());
    came.resolve();
    if (when === "before") await gone.promise;
    return new Response(pieces.body);
  };
  const leaving = new AbortController();
  const answer = sealed(url, { signal: leaving.signal });
  answer.catch(() => {});
  await came.promise;
  const reader = when === "within" ? (await answer).body!.getReader() : undefined;
  await reader?.read();
  leaving.abort();
  await reader?.read().catch(() => {});
  return { heard: gone.promise, endControl: () => (gone.resolve(), pieces.next()) };
}

/** The balancer without what its file says of it. */
function without(line: RegExp) {
  return (text: string) => {
    assert.match(text, line);
    return text.replace(line, "");
  };
}

Deno.test({
  name: "what a balancer does to a request and an answer",
  ignore: missing.length > 0,
  fn: async (t) => {
    await using hosts = await startHosts();
    await using stack = new AsyncDisposableStack();
    const balancers = new Map<Kind, Balancer>();
    for (const kind of KINDS) {
      balancers.set(kind, stack.use(await startBalancer(kind, hosts.ports)));
    }

    await t.step("a piece of an answer is passed on at once", async () => {
      const held = without(/^ *option http-no-delay$/m);
      await using control = await startBalancer("haproxy", hosts.ports, held);
      const slow = await quickestPiece(hosts, control);
      for (const [kind, balancer] of balancers) {
        const quickest = await quickestPiece(hosts, balancer);
        assert.ok(quickest < slow / 2, `${kind}: ${quickest}, not ${slow} ms`);
      }
    });

    await t.step("a client that goes away is known to its host", async () => {
      const deaf = without(/^ *option abortonclose$/m);
      await using control = await startBalancer("haproxy", hosts.ports, deaf);
      for (const when of ["before", "within"] as const) {
        const { heard, endControl } = await leave(hosts, control, when);
        let isHeard = false;
        void heard.then(() => isHeard = true);
        for (const [kind, balancer] of balancers) {
          await settled((await leave(hosts, balancer, when)).heard, `${kind}'s host, ${when}`);
        }
        assert.equal(isHeard, false, "control: it left before all of these");
        endControl();
      }
    });

    await t.step("what a host says of a POST is the client's to know", async () => {
      const asked: string[] = [];
      hosts.answer = async (request) => {
        const { pathname, searchParams } = new URL(request.url);
        asked.push(pathname);
        await request.arrayBuffer();
        return Response.json({ code: "busy" }, { status: Number(searchParams.get("status")) });
      };
      for (const [kind, { url }] of balancers) {
        for (const status of [401, 409, 422, 425, 429, 500, 502, 503, 504]) {
          const answer = await sealed(url, {}, `?status=${status}`);
          assert.deepEqual([answer.status, await answer.json()], [status, { code: "busy" }], kind);
          assert.deepEqual(asked.splice(0), [SEALED], `${kind}: ${status}`);
        }
        // Control: a key document is asked for at another host. Caddy does so only when it reaches none.
        const answer = await fetch(`${url}${KEY}?status=503`);
        await answer.body?.cancel();
        const times = asked.splice(0).length;
        assert.ok(kind === "caddy" ? times === 1 : times > 1, `${kind}: ${times}`);
      }
    });

    await t.step("the longest sealed request comes whole", async () => {
      const came: number[] = [];
      hosts.answer = async (request) => {
        let [length, wrong] = [0, 0];
        for await (const part of request.body!) {
          // A pattern that a lost or repeated piece would shift.
          const last = (length + part.length - 1) % 251;
          if (part[0] !== length % 251 || part.at(-1) !== last) wrong++;
          length += part.length;
        }
        came.push(length, wrong);
        return new Response("");
      };
      const body = new Uint8Array(SEALED_BYTES);
      for (let i = 0; i < body.length; i++) body[i] = i % 251;
      for (const [kind, { url }] of balancers) {
        const answer = await sealed(url, { body });
        assert.deepEqual([answer.status, await answer.text()], [200, ""], kind);
        assert.deepEqual(came.splice(0), [SEALED_BYTES, 0], kind);
      }
    });
  },
});
