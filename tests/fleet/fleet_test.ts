/**
 * A fleet by its commands: an issuer and two hosts, each with a key of its own, behind HAProxy. One pairing is good for both; a
 * client that is revoked on the issuer is nobody's; a host whose file grows old serves nobody of the fleet.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodePairing, parsePairing } from "../../src/client/mod.ts";
import { sealedFetch } from "../../src/client/sealed_fetch.ts";
import { until } from "../support/patience.ts";
import { cli, newHome, ROOT, type Served, startServe } from "../support/serve.ts";
import { missingPrograms, startBalancer } from "./balancers.ts";
import { freePort } from "./hosts.ts";

const missing = await missingPrograms();
if (missing.length > 0) console.log(`skipped: a fleet; not there: ${missing.join(", ")}`);

/** A machine of the fleet: a home and a key of its own. */
async function machine() {
  const { home, env } = await newHome();
  const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
  const own = { ...env, SECLLAMA_KEY: key, SECLLAMA_DATA_DIR: join(home, "data") };
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli(args, { env: own });
    assert.equal(code, 0, `${args.join(" ")}\n${stderr}`);
    return stdout.trim();
  };
  const refused = async (...args: string[]) => {
    const { code, stderr } = await cli(args, { env: own });
    return { code, stderr };
  };
  return {
    home,
    env: own,
    run,
    refused,
    [Symbol.asyncDispose]: () => Deno.remove(home, { recursive: true }),
  };
}

Deno.test({
  name: "a fleet: one pairing for two hosts behind HAProxy",
  ignore: missing.length > 0,
  fn: async (t) => {
    await using issuer = await machine();
    await using one = await machine();
    await using two = await machine();
    const hosts = [one, two];
    const folder = join(issuer.home, "out");
    const ports = [freePort(), freePort()];
    const file = (i: number) => join(folder, `gpu-${i + 1}.fleet`);

    const fleet = await issuer.run("fleet", "init");
    for (const [i, host] of hosts.entries()) {
      const line = await host.run("fleet", "join", "--label", `gpu-${i + 1}`, fleet);
      await issuer.run("fleet", "enrol", line);
    }
    const pairing = await issuer.run(
      ..."pair laptop --string --no-qr --url http://127.0.0.1:11435".split(" "),
    );
    await issuer.run("fleet", "publish", folder, "--valid", "1h");

    await t.step("what is not right is refused by name", async () => {
      const again = await one.run("fleet", "join", "--label", "gpu-1", fleet);
      const enrolled = await issuer.refused("fleet", "enrol", again);
      assert.match(enrolled.stderr, /gpu-1 is in the fleet already/);
      const foreign = await one.refused("serve", "--port=0", "--proxy-port=0", "--fleet", file(1));
      assert.match(foreign.stderr, /the fleet's file is for another host/);
    });

    const served: Served[] = [];
    try {
      for (const [i, host] of hosts.entries()) {
        served.push(
          await startServe({
            env: {
              ...host.env,
              SECLLAMA_NAMES: "secllama.lan",
              SECLLAMA_HOST_LABEL: `gpu-${i + 1}`,
            },
            args: ["--no-proxy", `--port=${ports[i]}`, "--fleet", file(i)],
          }),
        );
      }
      await using balancer = await startBalancer("haproxy", ports);
      const { issuer: issuerKey, ...parsed } = parsePairing(pairing);
      assert.equal(issuerKey?.length, 32);
      const client = (gateway: string, seen: Set<string>) =>
        sealedFetch({
          gateway,
          credentials: () => Promise.resolve({ ...parsed, issuer: issuerKey! }),
          fetch: async (input, init) => {
            const answer = await fetch(input, init);
            const label = answer.headers.get("secllama-runner")?.split(".")[0];
            if (label !== undefined) seen.add(label);
            return answer;
          },
        });
      const ask = async (fetch: ReturnType<typeof client>) => {
        const answer = await fetch("/api/generate", {
          method: "POST",
          body: JSON.stringify({
            model: "demo",
            prompt: "Hello",
            stream: false,
            options: { num_predict: 1 },
          }),
        });
        assert.equal((await answer.json()).done, true);
      };

      await t.step("one pairing, whichever host answers", async () => {
        const seen = new Set<string>();
        await until(async () => {
          await ask(client(balancer.url, seen));
          return seen.size === 2;
        }, "both hosts have answered");
        // A listing needs no runner, and a proof that is the host's own.
        const listing = await client(balancer.url, seen).metadata("api/tags");
        assert.equal(listing.status, 200);
        assert.equal((await listing.json()).models[0].name, "demo:latest");
      });

      await t.step("the Python client, which has nothing of ours", async () => {
        const said = parsePairing(pairing);
        const text = encodePairing({ ...said, url: balancer.url });
        const child = new Deno.Command("/usr/bin/python3", {
          args: ["-B", "secllama_client.py", "demo", "Hello"],
          cwd: join(ROOT, "examples/python"),
          stdin: "piped",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode(text));
        await writer.close();
        const { code, stdout, stderr } = await child.output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        assert.ok(stdout.length > 2);
      });

      await t.step("control: a client of one host believes no other", async () => {
        const alone = sealedFetch({
          gateway: balancer.url,
          credentials: () => Promise.resolve(parsed),
        });
        const init = { method: "POST", body: JSON.stringify({ model: "demo", prompt: "Hello" }) };
        await assert.rejects(alone("/api/generate", init), { code: "auth" });
      });

      await t.step("revoked on the issuer, it is nobody's", async () => {
        await issuer.run("clients", "revoke", "laptop");
        await issuer.run("fleet", "publish", folder);
        for (const port of ports) {
          const direct = client(`http://127.0.0.1:${port}`, new Set());
          await assert.rejects(ask(direct), { code: "auth" });
        }
      });

      await t.step(
        "a host whose file grows old says so, and serves nobody of the fleet",
        async () => {
          const later = await issuer.run(
            ..."pair desktop --string --no-qr --url http://127.0.0.1:11435".split(" "),
          );
          await issuer.run("fleet", "remove", "gpu-2");
          await issuer.run("fleet", "publish", folder, "--valid", "5m");
          const credentials = () => Promise.resolve(parsePairing(later));
          const at = (i: number) =>
            sealedFetch({ gateway: `http://127.0.0.1:${ports[i]}`, credentials });
          await ask(at(0) as ReturnType<typeof client>);
          // gpu-2 has had no file since, and knows nobody of this name.
          await assert.rejects(ask(at(1) as ReturnType<typeof client>), { code: "auth" });
          await issuer.run("fleet", "publish", folder, "--valid", "100ms");
          await until(async () => {
            const answer = await fetch(`http://127.0.0.1:${ports[0]}/readyz`);
            await answer.body?.cancel();
            return answer.status === 503;
          }, "gpu-1 is not ready");
          await assert.rejects(ask(at(0) as ReturnType<typeof client>), { code: "auth" });
        },
      );
    } finally {
      await Promise.all(served.map((each) => each.stop()));
    }
  },
});
