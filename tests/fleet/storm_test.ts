/**
 * A fleet in a storm: the fleet of docs/fleet.md, each machine with a network of its own, and sealed requests by twenty clients, while
 * a part after the other is killed with -9, stopped, cut off or drained, and there again: nodes of NATS, balancers, hosts, the
 * issuer. No request is lost before its first frame, none is answered twice, none is answered with another's reply (which would not
 * verify); what was cut says so. With SECLLAMA_FULL=1 only, 10,000 requests; tests/fleet/balancers_test.ts has a small storm for
 * each run.
 */
import assert from "node:assert/strict";
import { findInMemory } from "../support/memory.ts";
import { until } from "../support/patience.ts";
import { ROOT } from "../support/serve.ts";
import { missingPrograms } from "./balancers.ts";
import { noNats } from "./nats.ts";
import { noNetwork } from "./network.ts";
import { NUMBERED, pageNetwork, startPage } from "./page_fleet.ts";
import type { StormCount } from "./storm_clients.ts";

const REQUESTS = 10_000;
const CLIENTS = 20;
/** How long a part is stopped or cut off. */
const AWAY_MS = 2_000;
const CANARY = "canary-of-the-storm";

const missing = [...await missingPrograms(), noNats, await noNetwork()].filter(Boolean);
if (Deno.env.get("SECLLAMA_FULL") !== "1") missing.push("SECLLAMA_FULL is not 1");
if (missing.length > 0) console.log(`skipped: a fleet in a storm; ${missing.join(", ")}`);

Deno.test({
  name: `a fleet in a storm: ${REQUESTS} requests, each answered once or cut and said so`,
  ignore: missing.length > 0,
  fn: async () => {
    await using network = await pageNetwork();
    const { machine } = network;
    const fleet = await startPage(network, {
      host: (line) => `env SECLLAMA_AUDIT=on SECLLAMA_DRAIN_TIME=5m ${line}`,
    });
    const haproxy = "haproxy -f haproxy.cfg -db";
    // Two listen at one port.
    await fleet.begin("another balancer", machine("balancer"), haproxy, /^/);
    const laptop = machine("laptop");
    const program = ["run", "-A", "--no-check", "--frozen", "--config", `${ROOT}/tests/deps.json`];
    const clients = await laptop.start(
      [
        ...[Deno.execPath(), ...program, `${ROOT}/tests/fleet/storm_clients.ts`],
        ...[String(CLIENTS), CANARY],
      ].join(" "),
      /"answered":[1-9]/,
      fleet.pairing,
    );
    const counted = (): StormCount => {
      const line = clients.said().trimEnd().split("\n").findLast((line) => line.startsWith("{"))!;
      const count: StormCount = JSON.parse(line);
      assert.deepEqual(count.failed, []);
      return count;
    };

    const away = (ms = AWAY_MS) => new Promise((resolve) => setTimeout(resolve, ms));
    const pidOf = (name: string) => fleet.running.get(name)!.pid;
    const stop = async (name: string) => {
      Deno.kill(pidOf(name), "SIGSTOP");
      // Whoever is at it waits meanwhile, and that may be all.
      await away();
      Deno.kill(pidOf(name), "SIGCONT");
    };
    const kill = async (name: string) => {
      Deno.kill(pidOf(name), "SIGKILL");
      await fleet.running.get(name)!.stop();
      await fleet.again(name);
    };
    const drain = async (name: string, signal: Deno.Signal = "SIGTERM") => {
      Deno.kill(pidOf(name), signal);
      await fleet.running.get(name)!.over;
      await fleet.again(name);
    };
    const cut = async (name: string) => {
      await machine(name).plug(false);
      await away();
      await machine(name).plug(true);
    };
    const events: [string, () => Promise<unknown>][] = [];
    for (const name of NUMBERED.map((i) => `nats-${i}`)) {
      events.push([`${name} is killed`, () => kill(name)], [
        `${name} is stopped`,
        () => stop(name),
      ]);
      events.push([`${name} is cut off`, () => cut(name)]);
      // As `nats-server --signal ldm=PID`: its lame duck mode, in which its connections are ended one after another.
      events.push([`${name} is drained`, () => drain(name, "SIGUSR2")]);
    }
    for (const name of ["balancer", "another balancer"]) {
      events.push([`${name} is killed`, () => kill(name)], [
        `${name} is stopped`,
        () => stop(name),
      ]);
      // HAProxy's own word for it.
      events.push([`${name} is drained`, () => drain(name, "SIGUSR1")]);
    }
    events.push(["both balancers are cut off", () => cut("balancer")]);
    for (const name of NUMBERED.map((i) => `gpu-${i}`)) {
      events.push([`${name} is killed`, () => kill(name)], [
        `${name} is stopped`,
        () => stop(name),
      ]);
      events.push([`${name} is cut off`, () => cut(name)]);
      events.push([`${name} is drained`, () => drain(name)]);
    }
    events.push(["the issuer is killed", () => kill("publish")]);
    events.push(["the issuer is stopped", () => stop("publish")]);
    events.push(["the issuer is cut off", () => cut("issuer")]);
    events.push(["the issuer is drained", () => drain("publish")]);

    const step = Math.floor(REQUESTS / (events.length + 1));
    for (const [what, event] of events) {
      const at = counted().begun + step;
      await until(() => counted().begun >= at, `${at} requests, before ${what}`);
      console.log(`${JSON.stringify(counted())}: ${what}`);
      await event().catch((cause) => {
        throw new Error(what, { cause });
      });
    }
    await until(() => counted().begun >= REQUESTS, "all requests");
    // Control: it is in the memory of who asks.
    assert.ok((await findInMemory(clients.pid, [CANARY])).get(CANARY)!.size > 0);
    for (const [name, { pid }] of fleet.running) {
      assert.deepEqual([...(await findInMemory(pid, [CANARY])).get(CANARY)!], [], name);
    }
    await clients.stop();
    const over = clients.said().split("\n").find((line) => line.startsWith("over "))!;
    const count: StormCount = JSON.parse(over.slice("over ".length));
    console.log(JSON.stringify(count));
    assert.deepEqual(count.failed, []);
    assert.equal(count.answered + count.truncated, count.begun);
    // Each of the parts that held requests cut those of one moment at most.
    assert.ok(count.truncated <= events.length * CLIENTS / 2, JSON.stringify(count));
  },
});
