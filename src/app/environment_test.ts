import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openKeySource } from "../keys/mod.ts";
import { MemoryStore } from "../keys/stores/testing_memory.ts";
import { withFolder } from "../keys/testing.ts";
import { unwanted } from "./environment.ts";
import { authorityOf } from "./listen_address.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));

/** A program that takes the variable out before its first TLS connection, which is too late. */
const CARELESS = `
Deno.env.delete("SSLKEYLOGFILE");
const [cert, key, ca] = ["c", "k", "ca"].map((n) => Deno.readTextFileSync(Deno.args[0] + "/" + n));
const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
void listener.accept().then((c) => c.read(new Uint8Array(9)));
const conn = await Deno.connectTls({ hostname: "127.0.0.1", port: listener.addr.port, caCerts: [ca] });
await conn.handshake();
Deno.exit(0);`;

async function deno(args: string[], log: string): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { SSLKEYLOGFILE: log, NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("environment: no secret of a TLS connection goes to a file", () =>
  withFolder(async (folder) => {
    const keys = await openKeySource({
      dataDir: folder,
      env: {},
      interactive: false,
      store: new MemoryStore(),
      autoInit: true,
    });
    const authority = authorityOf(folder, keys);
    const { certificate } = await authority.ensure(["gw.lan"]);
    const { cert, key } = await authority.issue(["127.0.0.1"]);
    for (const [name, text] of [["c", cert], ["k", key], ["ca", certificate]] as const) {
      await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o600 });
    }
    const log = `${folder}/log`;
    await Deno.writeTextFile(`${folder}/careless.ts`, CARELESS);
    const careless = await deno(["run", "-A", "--no-lock", `${folder}/careless.ts`, folder], log);
    assert.equal(careless.code, 0, careless.stderr);
    assert.match(await Deno.readTextFile(log), /^\w+_TRAFFIC_SECRET/m, "positive control");
    await Deno.remove(log);

    const { code, stderr } = await deno(["run", "-A", "--frozen", MAIN, "version"], log);
    assert.equal(code, 9, stderr);
    assert.match(stderr, /^error: SSLKEYLOGFILE is set.*\nhint: run: env -u SSLKEYLOGFILE/);
    assert.equal((await Deno.stat(log)).size, 0); // the runtime has opened it
  }));

Deno.test("environment: what is unwanted", () => {
  const names = ["LD_PRELOAD", "SSLKEYLOGFILE", "DENO_CERT", "https_proxy", "SSL_CERT_FILE"];
  const env = Object.fromEntries([...names, "HOME", "DENO_DIR", "LANG"].map((name) => [name, "x"]));
  assert.deepEqual(unwanted(env), names.toSorted());
});
