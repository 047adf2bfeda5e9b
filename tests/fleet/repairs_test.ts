/**
 * What goes wrong with a fleet as its administrators meet it, by their commands: docs/fleet.md, "When things go wrong". Two hosts,
 * three nodes of NATS, HAProxy. With SECLLAMA_FULL=1 only; what of it is cheap to see is in src/fleet/published_test.ts.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodePairing, parsePairing } from "../../src/client/mod.ts";
import { builtLibrary, nodeMajor, runWithInput } from "../library/testing.ts";
import { until } from "../support/patience.ts";
import { cli, type Served, startServe } from "../support/serve.ts";
import { missingPrograms, startBalancer } from "./balancers.ts";
import { freePort } from "./hosts.ts";
import { machine, publishing } from "./machines.ts";
import { certifyNats, noNats, startNats } from "./nats.ts";
import { sealedFetch } from "../../src/client/sealed_fetch.ts";

const missing = await missingPrograms();
if (noNats) missing.push(noNats);
if (Deno.env.get("SECLLAMA_FULL") !== "1") missing.push("SECLLAMA_FULL is not 1");
if (missing.length > 0) console.log(`skipped: a fleet's repairs; ${missing.join(", ")}`);

const LINES = 3000;
const QUESTION = { model: "demo", prompt: "Hello", stream: false, options: { num_predict: 1 } };
/** So long that much happens before its end. */
const LONG = {
  ...{ model: "demo", prompt: "numbers", raw: true },
  format: { type: "array", items: { type: "integer" }, minItems: LINES },
  options: { num_predict: LINES, temperature: 0 },
};

Deno.test({
  name: "a fleet's repairs: two that publish, a store that is lost, nodes, certificates, hosts",
  ignore: missing.length > 0,
  fn: async (t) => {
    await using issuer = await machine();
    await using one = await machine();
    await using two = await machine();
    await using three = await machine();
    const ports = [freePort(), freePort()];
    const fleet = await issuer.run("fleet", "init");
    const join_ = async (host: typeof one, label: string) => {
      const line = await host.run("fleet", "join", "--label", label, fleet);
      await issuer.run("fleet", "enrol", line);
    };
    await join_(one, "gpu-1");
    await join_(two, "gpu-2");
    const pair = (name: string) =>
      issuer.run(..."pair --string --no-qr --url http://127.0.0.1:11435".split(" "), name);
    const pairing = await pair("laptop");
    await using nats = await startNats(await issuer.run("fleet", "nats"), 3);
    const servers = nats.servers.join(",");
    const to = [servers, "--ca", nats.caPath];
    const served: (Served | undefined)[] = [];
    const start = async (i: number, host: typeof one) => {
      served[i] = await startServe({
        env: {
          ...host.env,
          SECLLAMA_NAMES: "secllama.lan",
          SECLLAMA_HOST_LABEL: `gpu-${i + 1}`,
          SECLLAMA_FLEET_CA: nats.caPath,
          SECLLAMA_DRAIN_TIME: "5m",
        },
        args: ["--no-proxy", `--port=${ports[i]}`, "--fleet", servers],
      });
    };
    const direct = (i: number) => `http://127.0.0.1:${ports[i]}`;
    const clientOf = (pairing: string, gateway: string) => {
      const credentials = () => Promise.resolve(parsePairing(pairing));
      return sealedFetch({ gateway, credentials });
    };
    const post = (body: object) => ({ method: "POST", body: JSON.stringify(body) });
    const isAnswered = (pairing: string, gateway: string) =>
      clientOf(pairing, gateway)("/api/generate", post(QUESTION)).then(
        async (answer) => (await answer.json()).done === true,
        () => false,
      );
    const isReady = async (i: number) => {
      const answer = await fetch(`${direct(i)}/readyz`);
      await answer.body?.cancel();
      return answer.status === 200;
    };
    /** A change that comes through to each host. */
    let made = 0;
    const comesThrough = async (what: string, hosts = [0, 1]) => {
      const name = `spare-${++made}`;
      const spare = await pair(name);
      for (const i of hosts) await until(() => isAnswered(spare, direct(i)), `${what}: paired`);
      await issuer.run("clients", "revoke", name);
      for (const i of hosts) {
        await until(async () => !await isAnswered(spare, direct(i)), `${what}: revoked`);
      }
    };
    const usersAnew = async () => {
      await Deno.writeTextFile(join(nats.folder, "users.conf"), await issuer.run("fleet", "nats"));
      await nats.reload();
    };

    const watching = [...to, "--replicas", "3"];
    const publisher = await publishing(issuer.env, watching);
    try {
      await start(0, one);
      await start(1, two);
      await until(() => isReady(0), "gpu-1 is ready");
      await until(() => isReady(1), "gpu-2 is ready");
      await comesThrough("control");

      await t.step("two that publish from one folder: each change comes through", async () => {
        await using _second = await publishing(issuer.env, watching);
        for (let i = 0; i < 3; i++) await comesThrough("two publish");
        assert.deepEqual([await isReady(0), await isReady(1)], [true, true]);
      });
      await comesThrough("one publishes again");

      await t.step(
        "a copy of the issuer's folder that publishes is refused, and told why",
        async () => {
          await using copy = await machine();
          const folder = join(copy.home, "data");
          await new Deno.Command("cp", { args: ["-r", join(issuer.home, "data"), folder] })
            .output();
          await comesThrough("since the copy was made");
          const env = { ...copy.env, SECLLAMA_KEY: issuer.env.SECLLAMA_KEY };
          const publish = (...more: string[]) => cli(["fleet", "publish", ...to, ...more], { env });
          for (let i = 0; i < 2; i++) {
            const { code, stderr } = await publish();
            assert.equal(code, 9, stderr);
            assert.match(stderr, /this folder is older than what was published[^]*--after-restore/);
          }
          await comesThrough("the copy changed nothing");
        },
      );

      await t.step("NATS has lost all that it stored: it is there again by itself", async () => {
        for (const i of [0, 1, 2]) await nats.kill(i);
        for (const i of [0, 1, 2]) {
          await Deno.remove(join(nats.folder, `store-${i}`), { recursive: true });
        }
        await Promise.all([0, 1, 2].map((i) => nats.start(i)));
        await comesThrough("the store was lost");
        // A host that comes anew has all of it.
        await served[1]!.stop();
        await start(1, two);
        await until(() => isAnswered(pairing, direct(1)), "the host has all");
      });

      await t.step("a node of NATS is gone for good: another machine has its name", async () => {
        await nats.kill(2);
        await Deno.remove(join(nats.folder, "store-2"), { recursive: true });
        await comesThrough("a node is gone");
        await nats.start(2);
        await comesThrough("another one is there");
        // It has what the others have: without one of these, two are enough.
        await until(async () => {
          await nats.kill(0);
          const isThere = await comesThrough("with the new node").then(() => true);
          await nats.start(0);
          return isThere;
        }, "the new node has it");
      });

      await t.step(
        "the certificate of NATS expires: what is open goes on, and the rest is told",
        async () => {
          await certifyNats(nats.folder, 0);
          await nats.reload();
          await comesThrough("its connections are open");
          const { code, stderr } = await issuer.refused("fleet", "status", ...to);
          assert.notEqual(code, 0);
          assert.match(stderr, /certificate[^]*expired[^]*--signal reload/);
          await served[1]!.stop();
          await start(1, two);
          assert.ok(!await isReady(1), "it cannot know anybody");
          assert.match(served[1]!.stderr(), /"fleet-store-certificate-refused"/);
          await certifyNats(nats.folder);
          await nats.reload();
          await until(() => isReady(1), "the host has it");
          await comesThrough("renewed");
        },
      );

      await using balancer = await startBalancer("haproxy", ports);

      await t.step({
        name: "the library as npm packs it, in Node, by the fleet's pairing",
        ignore: await nodeMajor() === undefined,
        fn: async () => {
          const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
          try {
            await Deno.writeTextFile(join(folder, "package.json"), '{"type":"module"}');
            const sh = async (line: string) => {
              const ran = await runWithInput("/bin/sh", ["-c", line], "", { cwd: folder });
              assert.equal(ran.code, 0, ran.stderr);
            };
            await sh(`npm pack --offline --silent '${await builtLibrary()}'`);
            await sh("npm install --offline --no-audit --no-fund --silent ./secllama-client-*.tgz");
            await Deno.writeTextFile(
              join(folder, "ask.js"),
              `import { sealedFetch } from "secllama-client";
               let pairing = "";
               for await (const part of process.stdin) pairing += part;
               const client = await sealedFetch({ pairing });
               const statuses = [];
               for (let i = 0; i < 6; i++) {
                 const answer = await client("/api/generate", ${JSON.stringify(post(QUESTION))});
                 statuses.push(answer.status, (await answer.json()).done);
               }
               console.log(JSON.stringify(statuses));
               client.close();`,
            );
            const url = { ...parsePairing(pairing), url: balancer.url };
            const ask = () => runWithInput("node", ["ask.js"], encodePairing(url), { cwd: folder });
            const { stdout, stderr } = await ask();
            assert.equal(stdout.trim(), JSON.stringify(Array(6).fill([200, true]).flat()), stderr);
          } finally {
            await Deno.remove(folder, { recursive: true });
          }
        },
      });

      await t.step(
        "a host is taken out while its clients stream: it stops, and they are told",
        async () => {
          const answer = await clientOf(pairing, direct(1))("/api/generate", post(LONG));
          const lines = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
          let text = (await lines.read()).value ?? "";
          await issuer.run("fleet", "remove", "gpu-2");
          // Long before the hour of --valid is over.
          await until(async () => !await isReady(1), "it has heard");
          await assert.rejects(async () => {
            for (let part; (part = await lines.read(), !part.done);) text += part.value;
          }, { code: "truncated" });
          assert.ok(!text.includes('"done":true'));
          assert.ok(!await isAnswered(pairing, direct(1)), "and nothing more");
          for (let i = 0; i < 4; i++) assert.ok(await isAnswered(pairing, balancer.url));
        },
      );

      await t.step("another machine has the name of one that was taken out", async () => {
        await served[1]!.stop();
        await join_(three, "gpu-2");
        await usersAnew();
        await start(1, three);
        await until(() => isAnswered(pairing, direct(1)), "it serves the fleet's clients");
        await comesThrough("another machine");
        const listed = await issuer.run("fleet", "hosts", "--all");
        assert.equal(listed.match(/^gpu-2 /gm)?.length, 2);
        // The one before it has no way back in by its own old line, nor to NATS.
        const old = await two.run("fleet", "join", "--label", "gpu-2", fleet);
        const { stderr } = await issuer.refused("fleet", "enrol", old);
        assert.match(stderr, /another host is in the fleet as gpu-2/);
      });

      await t.step("a machine that was taken out comes back, under its name", async () => {
        await served[1]!.stop();
        await issuer.run("fleet", "remove", "gpu-2");
        await join_(two, "gpu-2");
        await usersAnew();
        await start(1, two);
        await until(() => isAnswered(pairing, direct(1)), "it serves the fleet's clients");
        await comesThrough("it is back");
        assert.match(await issuer.run("fleet", "status", ...to), /^gpu-2 +head \d/m);
      });
    } finally {
      await publisher[Symbol.asyncDispose]();
      await Promise.all(served.map((each) => each?.stop()));
    }
  },
});
