/**
 * Two hosts behind each balancer of packaging/balancers: sealed requests while one host is killed and the other one is drained.
 * None is lost before its first frame, none is answered twice. 200 requests each with SECLLAMA_FULL=1, else 12.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { toHex } from "../../src/bytes.ts";
import { builtLibrary } from "../library/testing.ts";
import { until } from "../support/patience.ts";
import { type Balancer, BALANCERS, missingPrograms, startBalancer } from "./balancers.ts";
import { Hosts } from "./hosts.ts";

const isFull = Deno.env.get("SECLLAMA_FULL") === "1";
const REQUESTS = isFull ? 200 : 12;
/** Of each balancer. */
const CLIENTS = 2;

const missing = await missingPrograms();
if (missing.length > 0) console.log(`skipped: balancers; not there: ${missing.join(", ")}`);

/** What a client of its own made of the answer to `request`. */
interface Outcome {
  readonly ends: number;
  /** After the first frame: it says that it was cut. */
  readonly isTruncated: boolean;
}

const ask = (tokens: number) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({
    model: "demo",
    prompt: "What is network isolation?",
    options: { num_predict: tokens, temperature: 0 },
  }),
});

/** One request; whatever fails before the first frame fails the test. */
async function one(client: ReturnType<Hosts["client"]>, tokens: number): Promise<Outcome> {
  const response = await client("/api/generate", ask(tokens));
  assert.equal(response.status, 200);
  let text = "";
  try {
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) text += part;
  } catch (error) {
    assert.equal((error as { code?: string }).code, "truncated", String(error));
    return { ends: 0, isTruncated: true };
  }
  return { ends: text.match(/"done":true/g)?.length ?? 0, isTruncated: false };
}

/** Sealed requests and their statuses, as the wire shows them. */
function counting() {
  const statuses: number[] = [];
  const counted: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    if (init?.method === "POST") statuses.push(answer.status);
    return answer;
  };
  return { statuses, counted };
}

type Kind = keyof typeof BALANCERS;
const KINDS = Object.keys(BALANCERS) as Kind[];

/** What came of the requests through one balancer. */
interface Through {
  readonly outcomes: Outcome[];
  /** Of the sealed requests on the wire. */
  readonly statuses: number[];
}

/** All requests through each balancer, by a few clients side by side; `at` is called when a third has been answered. */
async function load(
  hosts: Hosts,
  balancers: ReadonlyMap<Kind, Balancer>,
  tokens: number,
  at?: () => Promise<unknown>,
): Promise<Map<Kind, Through>> {
  const through = new Map<Kind, Through>();
  let [answered, happened] = [0, Promise.resolve<unknown>(undefined)];
  await Promise.all([...balancers].flatMap(([kind, { url }]) => {
    const { statuses, counted } = counting();
    const outcomes: Outcome[] = [];
    let begun = 0;
    through.set(kind, { outcomes, statuses });
    return Array.from({ length: CLIENTS }, async () => {
      const client = hosts.client(url, counted);
      while (begun++ < REQUESTS) {
        outcomes.push(await one(client, tokens));
        if (++answered === Math.floor(balancers.size * REQUESTS / 3)) happened = at?.() ?? happened;
      }
    });
  }));
  await happened;
  return through;
}

/** @param mayBeCut Answers that may have been cut after their first frame. */
function assertNoneLost(through: Map<Kind, Through>, mayBeCut: number, about: string): void {
  for (const [kind, { outcomes, statuses }] of through) {
    assert.equal(outcomes.length, REQUESTS, `${kind}, ${about}`);
    const cut = outcomes.filter(({ isTruncated }) => isTruncated).length;
    assert.ok(cut <= mayBeCut, `${kind}, ${about}: ${cut} were cut`);
    assert.equal(outcomes.filter(({ ends }) => ends === 1).length, REQUESTS - cut, kind);
    const others = statuses.filter((status) => status !== 200);
    console.log(`${kind}, ${about}: ${REQUESTS} answered, ${cut} of them cut; [${others}]`);
  }
}

/** Waits until a key of the host `label` comes through the balancer. */
async function hasHost(hosts: Hosts, kind: Kind, balancer: Balancer, label: string) {
  await until(async () => {
    let from: string | null = null;
    const watched: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init);
      from ??= answer.headers.get("secllama-runner");
      return answer;
    };
    await one(hosts.client(balancer.url, watched), 1);
    return from!.startsWith(`${label}.`);
  }, `${kind} has ${label} back`);
}

Deno.test({
  name: "two hosts behind each balancer",
  ignore: missing.length > 0,
  fn: async (t) => {
    await using hosts = await Hosts.start(2);

    await t.step(
      "control: where requests are sent round, each comes to the wrong host",
      async () => {
        const plain = (text: string) =>
          text.replace(/^.*use-server.*$/m, "").replace("leastconn", "roundrobin");
        await using balancer = await startBalancer("haproxy", hosts.ports, plain);
        const { statuses, counted } = counting();
        for (let i = 0; i < 3; i++) {
          await assert.rejects(one(hosts.client(balancer.url, counted), 1), {
            code: "key-mismatch",
          });
        }
        assert.deepEqual(statuses, Array(12).fill(422), "one try and three more, each");
      },
    );

    await t.step(
      "a gateway goes by the body: a header that names another key is refused",
      async () => {
        const gateway = `http://127.0.0.1:${hosts.ports[0]}`;
        const saying = (value: (own: string) => string): typeof fetch => (input, init) => {
          const headers = new Headers(init?.headers);
          const own = headers.get("secllama-runner");
          if (own !== null) headers.set("secllama-runner", value(own));
          return fetch(input, { ...init, headers });
        };
        const lies = [
          () => "0011223344556677",
          () => "gpu-1",
          () => "",
          (own: string) => `${own}0`,
        ];
        for (const lie of lies) {
          const asked = one(hosts.client(gateway, saying(lie)), 1);
          await assert.rejects(asked, { code: "malformed" });
        }
        // The label is the balancer's business.
        const elsewhere = (own: string) => own.replace("gpu-1", "gpu-9");
        assert.equal((await one(hosts.client(gateway, saying(elsewhere)), 1)).ends, 1);
      },
    );

    await using stack = new AsyncDisposableStack();
    const balancers = new Map<Kind, Balancer>();
    for (const kind of KINDS) {
      balancers.set(kind, stack.use(await startBalancer(kind, hosts.ports)));
    }

    await t.step("each request comes to its runner at once", async () => {
      const calm = await load(hosts, balancers, 2);
      assertNoneLost(calm, 0, "calm");
      for (const [kind, { statuses }] of calm) {
        assert.deepEqual([...new Set(statuses)], [200], kind);
      }
    });

    await t.step("a host that is killed loses no request before its first frame", async () => {
      const killed = await load(hosts, balancers, 2, () => hosts.kill(0));
      assertNoneLost(killed, CLIENTS, "killed");
    });

    if (!isFull) {
      console.log("skipped: the npm library in Node behind balancers; SECLLAMA_FULL is not 1");
    }
    await t.step({
      name: "nor does one of the npm library in Node",
      ignore: !isFull,
      fn: async () => {
        await hosts.startOne(0);
        for (const kind of KINDS) await hasHost(hosts, kind, balancers.get(kind)!, "gpu-1");
        const { pskId, psk, hid } = hosts.credentials;
        const child = new Deno.Command("node", {
          args: [new URL("node_clients.mjs", import.meta.url).pathname],
          stdin: "piped",
          stdout: "piped",
        }).spawn();
        const writer = child.stdin.getWriter();
        const say = (line: string) => writer.write(new TextEncoder().encode(`${line}\n`));
        const urls = [...balancers.values()].map(({ url }) => url);
        const library = join(await builtLibrary(), "node.js");
        await say(JSON.stringify({ library, pskId, psk: toHex(psk), hid: toHex(hid), urls }));
        const came: { url: string; ends?: number; cut?: string; failed?: string }[] = [];
        const reading = (async () => {
          const text = child.stdout.pipeThrough(new TextDecoderStream());
          let rest = "";
          for await (const part of text) {
            const lines = (rest + part).split("\n");
            rest = lines.pop()!;
            came.push(...lines.map((line) => JSON.parse(line)));
          }
        })();
        const each = async (count: number) => {
          const from = came.length;
          const is = (one: string) =>
            came.slice(from).filter(({ url }) => url === one).length >= count;
          await until(() => urls.every(is), `${count} more through each`);
        };
        await each(2 * CLIENTS);
        await hosts.kill(0);
        await each(4 * CLIENTS);
        await say("end");
        await Promise.all([reading, child.status, writer.close()]);
        const others = came.filter(({ ends, cut }) => ends !== 1 && cut !== "truncated");
        assert.deepEqual(others, [], "answered once, or cut and said so");
        const cut = came.length - came.filter(({ ends }) => ends === 1).length;
        assert.ok(cut <= urls.length * CLIENTS, `${cut} were cut`);
        console.log(`Node: ${came.length} answered, ${cut} of them cut`);
      },
    });

    await t.step(
      "a host that drains loses none, and ends the answers that it has begun",
      async () => {
        await hosts.startOne(0);
        for (const kind of KINDS) await hasHost(hosts, kind, balancers.get(kind)!, "gpu-1");
        let code: number | undefined;
        // Long enough that some are under way when the signal comes.
        const drained = await load(hosts, balancers, 12, async () => code = await hosts.drain(1));
        assertNoneLost(drained, 0, "drained");
        assert.equal(code, 0);
      },
    );
  },
});
