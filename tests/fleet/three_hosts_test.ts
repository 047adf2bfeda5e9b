/**
 * docs/fleet.md from one host to three, by its ten commands as they stand there: an issuer, three nodes of NATS, three hosts, HAProxy
 * and a laptop, each with a network of its own. Then what the page says of a network that is cut.
 */
import assert from "node:assert/strict";
import { findInMemory } from "../support/memory.ts";
import { until } from "../support/patience.ts";
import { ROOT } from "../support/serve.ts";
import { missingPrograms } from "./balancers.ts";
import type { Seen } from "./host_watch.ts";
import { noNats } from "./nats.ts";
import { type NetMachine, noNetwork } from "./network.ts";
import { NUMBERED, ok, type PageFleet, pageNetwork, startPage } from "./page_fleet.ts";

const missing = [...await missingPrograms(), noNats, await noNetwork()].filter(Boolean);
if (Deno.env.get("SECLLAMA_FULL") !== "1") missing.push("SECLLAMA_FULL is not 1");
if (missing.length > 0) console.log(`skipped: three hosts; ${missing.join(", ")}`);

const CANARY = "canary-of-three-hosts";
/** Of a key that is rotated, and a client that is revoked. */
const ROUNDS = 3;

Deno.test({
  name: "docs/fleet.md: ten commands from one host to three; and a network that is cut",
  ignore: missing.length > 0,
  fn: async (t) => {
    await using network = await pageNetwork();
    const { machine } = network;
    const [issuer, laptop] = [machine("issuer"), machine("laptop")];
    const gpus = NUMBERED.map((i) => machine(`gpu-${i}`));

    /** Of a host: its own proxy. */
    const asked = (on: NetMachine, port: string, prompt = "Hello") =>
      on.sh(
        `curl -sS -o - -w ' %{http_code}' http://127.0.0.1:${port}/api/generate -d '${
          JSON.stringify({ model: "demo", prompt, stream: false, options: { num_predict: 1 } })
        }'`,
      );
    let made: PageFleet | undefined;
    await t.step("the ten commands of the page, as they stand there", async () => {
      made = await startPage(network);
    });
    const { ports, running, pair, pairing, publish } = made!;

    const isAnswered = async (on: NetMachine, prompt?: string) =>
      (await asked(on, ports.get(on.name)!, prompt)).stdout.includes('"done":true');
    const isReady = async (on: NetMachine) => {
      const line = "curl -sk -o /dev/null -w '%{http_code}' -H 'Host: secllama.lan' " +
        "https://127.0.0.1:11435/readyz";
      return (await on.sh(line)).stdout === "200";
    };
    const headsOf = async () => {
      // While NATS chooses who leads it, it does not answer.
      const { stdout } = await issuer.sh("secllama fleet status tls://nats-1:4222 --ca ca.pem");
      return [...stdout.matchAll(/^gpu-\d +head (\d+)/gm)].map(([, head]) => Number(head));
    };
    /** Until all three hosts have what was published last, and nothing since. */
    const allHave = async (after: number) => {
      let heads: number[] = [];
      await until(async () => {
        heads = await headsOf();
        return heads.length === 3 && new Set(heads).size === 1 && heads[0]! > after;
      }, "all three hosts have it");
      return heads[0]!;
    };

    await t.step("the audit logs of all hosts, once they are on", async () => {
      const files = gpus.map(({ name }) => `${name}.jsonl`);
      // Control: after the ten commands there is none.
      const off = await gpus[0]!.sh(`secllama audit export ${files[0]}`);
      assert.equal(off.code, 1, off.stderr);
      assert.match(off.stderr, /SECLLAMA_AUDIT=on/);
      for (const { name } of gpus) {
        await running.get(name)!.stop();
        await made!.again(name, "env SECLLAMA_AUDIT=on ");
      }
      // The issuer writes what it has heard every five seconds.
      await until(async () => {
        for (const [i, gpu] of gpus.entries()) {
          await Deno.remove(`${network.folder}/${files[i]}`).catch(() => {});
          await ok(gpu, `secllama audit export ${files[i]}`);
        }
        const { stdout } = await issuer.sh(`secllama fleet audit verify ${files.join(" ")}`);
        return stdout.match(/^ {2}gpu-[123]: whole, \d+ lines, last heard/gm)?.length === 3;
      }, "all three logs are whole");
    });

    await t.step("a laptop asks, by its own proxy", async () => {
      const proxy = await laptop.start(
        "secllama proxy --pair - --ephemeral",
        /http:\/\/127\.0\.0\.1:\d+/,
        pairing,
      );
      ports.set("laptop", /http:\/\/127\.0\.0\.1:(\d+)/.exec(proxy.said())![1]!);
      running.set("laptop", proxy);
      await until(() => isAnswered(laptop), "the laptop is answered");
      await allHave(0);
    });

    await t.step("a rotation and a revocation are at all three hosts", async () => {
      const program = ["run", "-A", "--no-check", "--frozen", "--config"];
      const words = [...program, `${ROOT}/tests/deps.json`, `${ROOT}/tests/fleet/host_watch.ts`];
      for (let round = 1; round <= ROUNDS; round++) {
        const name = `watcher-${round}`;
        const watcher = await laptop.start(
          [Deno.execPath(), ...words, "ca.pem", ...gpus.map(({ name }) => name)].join(" "),
          /^/,
          await ok(issuer, pair.replace("laptop", name)),
        );
        /** When the last of them did. */
        const all = async (is: (what: string) => boolean, what: string): Promise<number> => {
          const at = new Map<string, number>();
          await until(() => {
            const lines = watcher.said().split("\n").filter((line) => line.endsWith("}"));
            for (const { host, what, at: ms } of lines.map((line): Seen => JSON.parse(line))) {
              if (is(what)) at.set(host, Math.min(ms, at.get(host) ?? ms));
            }
            return at.size === gpus.length;
          }, what);
          return Math.max(...at.values());
        };
        await all((what) => what === "answered", "all answer");
        const after = async (line: string) => {
          await ok(issuer, line);
          return Date.now();
        };
        const rotated = await after("secllama key rotate");
        const newer = await all((what) => what.startsWith("client."), "all have the newer key");
        const revoked = await after(`secllama clients revoke ${name}`);
        const gone = await all((what) => what === "refused", "it is nobody's");
        console.log(
          `at all three hosts after the command's end: a rotation ${
            newer - rotated
          } ms, a revocation ${gone - revoked} ms`,
        );
        await watcher.stop();
      }
    });

    await t.step(
      "a host whose cable is pulled goes on for its own, and is not missed",
      async () => {
        // The page's hour is long for a test.
        await running.get("publish")!.stop();
        const short = `${publish.replace(" --watch", "")} --valid 20s --watch`;
        await issuer.start(short, /gpu-3/);
        const before = await allHave(0);
        const [, , third] = gpus as [NetMachine, NetMachine, NetMachine];
        await third.plug(false);
        assert.ok(await isAnswered(third), "its own programs are served");
        for (let i = 0; i < 3; i++) await until(() => isAnswered(laptop), "the others answer");
        // Somebody is paired, and taken out again, which the third host cannot hear.
        const later = await ok(issuer, pair.replace("laptop", "desktop"));
        assert.match(later, /./);
        await ok(issuer, "secllama clients revoke desktop");
        await until(async () => !await isReady(third), "its time is over");
        assert.ok(await isAnswered(third), "its own programs are served still");
        await third.plug(true);
        await until(() => isReady(third), "it is of the fleet again");
        await allHave(before);
      },
    );

    await t.step("a node of NATS whose cable is pulled is not missed", async () => {
      const before = await allHave(0);
      await machine("nats-2").plug(false);
      assert.match(await ok(issuer, pair.replace("laptop", "spare")), /./);
      await allHave(before);
      await machine("nats-2").plug(true);
    });

    await t.step("all nodes of NATS are cut off, and there again: so is the fleet", async () => {
      const before = await allHave(0);
      const plugAll = async (isIn: boolean) => {
        for (const i of NUMBERED) await machine(`nats-${i}`).plug(isIn);
      };
      await plugAll(false);
      for (const gpu of gpus) await until(async () => !await isReady(gpu), "its time is over");
      assert.ok(await isAnswered(gpus[0]!), "its own programs are served still");
      await plugAll(true);
      for (const gpu of gpus) await until(() => isReady(gpu), "it is of the fleet again");
      await allHave(before);
      await until(() => isAnswered(laptop), "the laptop is answered");
    });

    await t.step("a revocation is at all hosts", async () => {
      const before = await allHave(0);
      assert.ok(await isAnswered(laptop, CANARY));
      await ok(issuer, "secllama clients revoke laptop");
      await until(async () => !await isAnswered(laptop), "the laptop is nobody's");
      await allHave(before);
      assert.ok(!await isAnswered(laptop));
    });

    await t.step("what was asked is in no balancer's, NATS' and gateway's memory", async () => {
      const found = async (pid: number) => [...(await findInMemory(pid, [CANARY])).get(CANARY)!];
      // Control: who asked has it, for a while at least.
      assert.ok((await found(running.get("laptop")!.pid)).length > 0);
      const names = [...running.keys()].filter((name) => !["laptop", "publish"].includes(name));
      assert.equal(names.length, 7);
      for (const name of names) assert.deepEqual(await found(running.get(name)!.pid), [], name);
    });
  },
});
