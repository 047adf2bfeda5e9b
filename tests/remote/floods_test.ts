/**
 * Floods of connections that show little, at the port that other machines reach: over the cable, from the address of a paired client
 * and from another one. The paired client's requests are all served meanwhile. With SECLLAMA_FULL=1 only: the same listeners are
 * flooded on one machine in every run, tests/e2e/floods_test.ts.
 */
import assert from "node:assert/strict";
import { utf8 } from "../../src/bytes.ts";
import {
  type FloodKind,
  type NamedKey,
  PLAIN_FLOODS,
  sealedKind,
  startFlood,
  whyNoFlood,
} from "../support/flood.ts";
import { ROOT } from "../support/serve.ts";
import { HOST_ADDRESS, Lab, labIgnored, LAPTOP_ADDRESS } from "./lab.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** More than the places that there are, or it would be no attack. */
const SAMPLE = 600;
const REQUESTS = 15;
const STRANGER = "10.77.0.3";
const GATEWAY = `https://${HOST_ADDRESS}:11435`;
const noFlood = await whyNoFlood(false);
if (noFlood) console.log(`skipped: floods between machines; ${noFlood}`);
if (!FULL) console.log("skipped: floods between machines; set SECLLAMA_FULL=1");
const ignore = !FULL || noFlood !== undefined || labIgnored();

const stopping = (path: string, type = "application/json", begin = "{"): FloodKind => ({
  name: `bodies that stop, to ${path}`,
  count: 600,
  payload: utf8(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: 9000\r\n\r\n${begin}`,
  ),
  gap: 0,
});

/** What a stranger can send that keeps a connection: on other paths nothing is read without a proof. */
const STRANGERS: readonly FloodKind[] = [
  { ...PLAIN_FLOODS[0]!, name: "silent connections without a handshake", raw: true },
  stopping("/sealed/v1/pair"),
  PLAIN_FLOODS[2]!,
  { ...PLAIN_FLOODS[0]!, name: "silent connections after a handshake" },
  stopping("/sealed/v1", "application/vnd.secllama.sealed;v=1", "SL"),
];

interface Asked {
  readonly pskId: string;
  readonly key: NamedKey;
  readonly statuses: readonly number[];
}

/** A host that a laptop is paired with, serving. @param entry Another program than the real one. */
async function paired(lab: Lab, entry?: string) {
  await lab.addAddress("laptop", STRANGER);
  const made = await lab.run("host", lab.secllama("host", ["pair", "laptop", "--url", GATEWAY]));
  assert.equal(made.code, 0, made.err);
  const args = ["serve", "--host", HOST_ADDRESS, "--no-proxy"];
  const gateway = lab.start("host", lab.secllama("host", args, true, entry));
  await gateway.saw(/isolation strict/);
  return async (count: number): Promise<Asked> => {
    const done = await lab.run("laptop", [
      ...[Deno.execPath(), "run", "--quiet", "-A", "--frozen", "--config", `${ROOT}deno.json`],
      ...[`${ROOT}tests/remote/paired_main.ts`, String(count)],
    ], { stdin: made.out });
    assert.equal(done.code, 0, done.err);
    if (done.err !== "") console.log(done.err.trim());
    return JSON.parse(done.out);
  };
}

const served = ({ statuses }: Asked) => statuses.every((status) => status === 200);

async function allKinds(ask: (count: number) => Promise<Asked>): Promise<FloodKind[]> {
  const before = await ask(1);
  assert.ok(served(before), before.statuses.join());
  return [
    ...STRANGERS,
    ...[false, true].map((drips) => sealedKind(before.key, before.pskId, { drips })),
  ];
}

Deno.test({
  name: "remote floods: without shares, each shuts the gateway",
  ignore,
  async fn(t) {
    await using lab = await Lab.make();
    const entry = new URL("../e2e/unshared_main.ts", import.meta.url).pathname;
    const ask = await paired(lab, entry);
    const kinds = await allKinds(ask);
    for (const kind of kinds) {
      await t.step(kind.name, async () => {
        const flood = await startFlood(GATEWAY, kind, {
          another: false,
          count: 2 * SAMPLE,
          again: 10,
          under: lab.under("laptop"),
          from: STRANGER,
        });
        try {
          // One that finds a place in the moment after another's end is luck.
          let refused = false;
          for (let n = 0; n < 20 && !refused; n++) refused = !served(await ask(1));
          assert.ok(refused, "none was refused");
        } finally {
          await flood.stop();
        }
      });
    }
  },
});

Deno.test({
  name: "remote floods: a paired client's requests are all served meanwhile",
  ignore,
  async fn(t) {
    await using lab = await Lab.make();
    const ask = await paired(lab);
    const kinds = await allKinds(ask);
    for (const kind of kinds) {
      for (const from of [LAPTOP_ADDRESS, STRANGER]) {
        const who = from === STRANGER ? "another address" : "its own address";
        await t.step(`${kind.name} from ${who}`, async () => {
          const flood = await startFlood(GATEWAY, kind, {
            another: false,
            count: kind.count,
            under: lab.under("laptop"),
            from,
          });
          try {
            const asked = await ask(REQUESTS);
            assert.ok(served(asked), asked.statuses.join());
          } finally {
            await flood.stop();
          }
        });
      }
    }
  },
});
