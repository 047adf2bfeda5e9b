/** `list`, `show`, `ps` and `stop` on a paired laptop are about the gateway's models, and not every laptop may stop one. */
import assert from "node:assert/strict";
import { type Done, HOST_ADDRESS, Lab, labIgnored } from "./lab.ts";

const GATEWAY = `https://${HOST_ADDRESS}:11435`;

function ok(done: Done): Done {
  assert.equal(done.code, 0, `${done.out}\n${done.err}`);
  return done;
}

Deno.test({
  name: "paired: list, show, ps and stop mean the gateway's models; stop needs a permission",
  ignore: labIgnored(),
  fn: async (t) => {
    await using lab = await Lab.make();
    const host = (...args: string[]) => lab.run("host", lab.secllama("host", args));
    const laptop = (...args: string[]) => lab.run("laptop", lab.secllama("laptop", args));
    const pair = async (name: string, ...more: string[]) => {
      const { out } = ok(await host("pair", name, "--url", GATEWAY, ...more));
      ok(
        await lab.run(
          "laptop",
          lab.secllama("laptop", ["proxy", "--pair", "-", "--as", name]),
          { stdin: out },
        ),
      );
    };
    // A model that only the host has: the laptop's own store has demo too.
    ok(await lab.run("host", lab.secllama("host", ["cp", "demo", "hosts-own"], false)));
    await pair("trusted", "--may-stop");
    await pair("guest");
    const gateway = lab.start(
      "host",
      lab.secllama("host", ["serve", "--host", HOST_ADDRESS, "--no-proxy"]),
      // On a busy machine the commands below take longer than a model stays by default.
      { env: { SECLLAMA_KEEP_ALIVE: "24h" } },
    );
    await gateway.saw(/isolation strict/);
    const loaded = async () =>
      JSON.parse(ok(await laptop("ps", "--json")).out).models.map((m: { name: string }) => m.name);

    await t.step("list and show", async () => {
      const listed = ok(await laptop("list")).out;
      assert.match(listed, /^hosts-own:latest .*10\.77\.0\.1:11435$/m);
      const names = JSON.parse(ok(await laptop("list", "--json")).out).models.map(
        (m: { name: string; source: string }) => [m.name, m.source],
      );
      assert.deepEqual(names.sort(), [
        ["demo:latest", `${HOST_ADDRESS}:11435`],
        ["hosts-own:latest", `${HOST_ADDRESS}:11435`],
      ]);
      const own = ok(await laptop("list", "--local")).out;
      assert.ok(!own.includes("hosts-own"), own);
      assert.match(ok(await laptop("show", "hosts-own")).out, /^on +10\.77\.0\.1:11435$/m);
      assert.match(ok(await laptop("show", "hosts-own", "--modelfile")).out, /FROM/);
      const missing = await laptop("show", "nowhere");
      assert.equal(missing.code, 1, missing.err);
      assert.match(missing.err, /not found/);
    });

    await t.step("a guest sees what is loaded, and may not stop it, in neither way", async () => {
      assert.deepEqual(await loaded(), ["demo:latest"]);
      const refused = await laptop("stop", "demo");
      assert.equal(refused.code, 9, refused.err);
      assert.match(refused.err, /may ask the models of .*, and not stop them\n[^]*--may-stop/);
      ok(await laptop("run", "demo", "hi", "--keepalive", "0"));
      assert.deepEqual(await loaded(), ["demo:latest"], "keep_alive 0 of a guest is none");
    });

    await t.step("who may, stops it; the list says so", async () => {
      const none = await laptop("stop", "hosts-own", "--use", "trusted");
      assert.equal(none.code, 1, none.err);
      assert.match(none.err, /is not loaded/);
      assert.match(ok(await laptop("stop", "demo")).out, /^stopped demo:latest$/m);
      assert.deepEqual(await loaded(), []);
      const { clients } = JSON.parse(ok(await host("clients", "list", "--json")).out);
      assert.deepEqual(
        clients.map((c: { name: string; may?: string[] }) => [c.name, c.may]),
        [["trusted", ["stop"]], ["guest", undefined]],
      );
    });

    await t.step("a gateway that is gone is said", async () => {
      await gateway.stop();
      const gone = await laptop("list");
      assert.equal(gone.code, 5, gone.err);
      assert.match(gone.err, /cannot reach the gateway/);
    });
  },
});
