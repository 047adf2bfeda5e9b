/**
 * docs/fleet.md from one host to three, by its ten commands as they stand there: an issuer, three nodes of NATS, three hosts, HAProxy
 * and a laptop, each with a network of its own. Then what the page says of a network that is cut.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { findInMemory } from "../support/memory.ts";
import { until } from "../support/patience.ts";
import { ROOT } from "../support/serve.ts";
import { missingPrograms } from "./balancers.ts";
import { noNats } from "./nats.ts";
import { makeNetwork, type NetMachine, noNetwork, type Running } from "./network.ts";

const missing = [...await missingPrograms(), noNats, await noNetwork()].filter(Boolean);
if (Deno.env.get("SECLLAMA_FULL") !== "1") missing.push("SECLLAMA_FULL is not 1");
if (missing.length > 0) console.log(`skipped: three hosts; ${missing.join(", ")}`);

/** The page's tested commands, in order: on which machine, and the line. */
async function commandsOf(page: string): Promise<[where: string, line: string][]> {
  const text = await Deno.readTextFile(join(ROOT, page));
  const found = [...text.matchAll(/<!-- tested: ([^>]*) -->\n\n```sh\n([^]*?)```/g)];
  return found.map(([, where, line]) => [where!.trim(), line!.trim()]);
}

/** The folder that the commands are given in. */
async function copyExamples(to: string): Promise<void> {
  for await (const { name } of Deno.readDir(join(ROOT, "examples/fleet"))) {
    const text = await Deno.readTextFile(join(ROOT, "examples/fleet", name));
    const here = text.replaceAll(/\/etc\/(nats|haproxy)\//g, `${to}/`)
      .replaceAll("/var/lib/nats", `${to}/${name}.store`);
    await Deno.writeTextFile(join(to, name), here);
  }
}

const NUMBERED = [1, 2, 3];
const CANARY = "canary-of-three-hosts";
const READY = {
  secllama: /SecLlama is ready[^]*\n {2}(model|isolation) [^]*\n/,
  nats: /Server is ready/,
} as const;

Deno.test({
  name: "docs/fleet.md: ten commands from one host to three; and a network that is cut",
  ignore: missing.length > 0,
  fn: async (t) => {
    await using network = await makeNetwork({
      "issuer": { address: "10.0.0.21" },
      "laptop": { address: "10.0.0.31" },
      "balancer": { address: "10.0.0.41", names: ["secllama.lan"] },
      ...Object.fromEntries(NUMBERED.flatMap((i) => [
        [`gpu-${i}`, { address: `10.0.0.${i}` }],
        [`nats-${i}`, { address: `10.0.0.1${i}` }],
      ])),
    });
    await copyExamples(network.folder);
    const { machine } = network;
    const [issuer, laptop] = [machine("issuer"), machine("laptop")];
    const gpus = NUMBERED.map((i) => machine(`gpu-${i}`));
    const ok = async (on: NetMachine, line: string, stdin?: string): Promise<string> => {
      const { code, stdout, stderr } = await on.sh(line, stdin);
      assert.equal(code, 0, `${on.name}: ${line}\n${stderr}`);
      return stdout.trim();
    };

    /** Of a host: its own proxy. */
    const asked = (on: NetMachine, port: string, prompt = "Hello") =>
      on.sh(
        `curl -sS -o - -w ' %{http_code}' http://127.0.0.1:${port}/api/generate -d '${
          JSON.stringify({ model: "demo", prompt, stream: false, options: { num_predict: 1 } })
        }'`,
      );
    const ports = new Map<string, string>();
    let [pair, pairing, publish] = ["", "", ""];
    const [fleet, joined]: [string[], string[]] = [[], []];
    const running = new Map<string, Running>();

    await t.step("the ten commands of the page, as they stand there", async () => {
      const commands = await commandsOf("docs/fleet.md");
      assert.equal(commands.length, 10);
      for (const [where, line] of commands) {
        const each = /^each (host|nats)$/.exec(where)?.[1];
        if (line.startsWith("secllama fleet enrol")) {
          for (const host of joined) await ok(issuer, line.replace("secllama-host-1.…", host));
        } else if (each === "host" && line.includes("fleet join")) {
          for (const i of NUMBERED) {
            const own = line.replaceAll("gpu-1", `gpu-${i}`)
              .replace("secllama-fleet-1.…", fleet[0]!);
            joined.push(await ok(gpus[i - 1]!, own));
          }
        } else if (each !== undefined) {
          for (const i of NUMBERED) {
            const on = machine(each === "host" ? `gpu-${i}` : `nats-${i}`);
            const own = line.replaceAll("gpu-1", `gpu-${i}`).replace(
              /nats-1\.conf/,
              `nats-${i}.conf`,
            );
            const ready = each === "host" ? READY.secllama : READY.nats;
            const started = await on.start(own, ready);
            running.set(on.name, started);
            const port = /proxy +http:\/\/[^:]+:(\d+)/.exec(started.said())?.[1];
            if (port !== undefined) ports.set(on.name, port);
          }
        } else if (where === "issuer, goes on") {
          publish = line;
          running.set("publish", await issuer.start(line, /gpu-3/));
        } else if (where === "balancer") {
          running.set("balancer", await machine("balancer").start(`${line} -db`, /^/));
        } else {
          const said = await ok(issuer, line);
          if (line === "secllama fleet init") fleet.push(said);
          if (line.startsWith("secllama pair")) [pair, pairing] = [line, said];
        }
      }
    });

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
