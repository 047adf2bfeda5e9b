/** The files of examples/fleet, as the programs that they are for read them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { natsPermissions } from "../../src/fleet/nats_permissions.ts";
import { natsIdentity } from "../../src/fleet/nkey.ts";
import { ROOT } from "../support/serve.ts";
import { BALANCERS, missingPrograms } from "./balancers.ts";
import { NATS_SERVER, noNats } from "./nats.ts";

const EXAMPLES = join(ROOT, "examples/fleet");
const missing = await missingPrograms();
if (noNats) missing.push(noNats);
if (missing.length > 0) console.log(`skipped: examples/fleet; not there: ${missing.join(", ")}`);

async function checked(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  return `${code} ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`;
}

Deno.test({
  name: "examples/fleet: HAProxy and nats-server take the files",
  ignore: missing.length > 0,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-examples-" });
    try {
      const haproxy = await Deno.readTextFile(join(EXAMPLES, "haproxy.cfg"));
      const packaged = await Deno.readTextFile(join(ROOT, "packaging/balancers/haproxy.cfg"));
      // The packaged one, with a third host and with TLS on both sides.
      const plain = haproxy.replace(/ {4}server gpu-3 .*\n/, "")
        .replaceAll(/ ssl verify required ca-file \S+ verifyhost gpu-\d/g, "")
        .replace(/bind :11435 ssl crt \S+/, "bind 127.0.0.1:11435");
      assert.equal(plain, packaged.replace(/^# With hosts that speak TLS.*\n/m, ""));
      const { user } = natsIdentity(new Uint8Array(32));
      const users = { users: [natsPermissions(user, "issuer")] };
      const path = join(folder, "secllama.conf");
      await Deno.writeTextFile(path, `authorization: ${JSON.stringify(users, null, 2)}\n`);
      // A certificate, since it reads it: its own authority.
      const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
      const out = ["-keyout", join(folder, "key"), "-out", join(folder, "pem"), "-subj", "/CN=n"];
      assert.match(await checked("/usr/bin/openssl", "req", "-x509", ...ec, ...out), /^0 /);
      const both = await Deno.readTextFile(join(folder, "pem")) +
        await Deno.readTextFile(join(folder, "key"));
      await Deno.writeTextFile(join(folder, "both.pem"), both);
      const config = join(folder, "haproxy.cfg");
      const own = haproxy.replace(/crt \S+/, `crt ${folder}/both.pem`)
        .replaceAll(/ca-file \S+/g, `ca-file ${folder}/pem`);
      await Deno.writeTextFile(config, own);
      const [, program] = BALANCERS.haproxy;
      assert.match(await checked(program, "-c", "-f", config), /^0 /);
      for (const node of [1, 2, 3]) {
        const text = await Deno.readTextFile(join(EXAMPLES, `nats-${node}.conf`));
        const own = text.replaceAll(/\/etc\/nats\/[a-z0-9-]+\.(pem|key)/g, `${folder}/$1`)
          .replace("/var/lib/nats", `${folder}/store`);
        const conf = join(folder, `nats-${node}.conf`);
        await Deno.writeTextFile(conf, own);
        assert.match(await checked(NATS_SERVER, "-t", "-c", conf), /^0 /);
        // Control: it does say what is wrong.
        await Deno.writeTextFile(conf, own.replace("routes:", "rotes:"));
        assert.doesNotMatch(await checked(NATS_SERVER, "-t", "-c", conf), /^0 /);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "examples/fleet: certificates that are made again are of the same keys, and are believed",
  ignore: missing.length > 0,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-examples-" });
    const sh = async (line: string) => {
      const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
        args: ["-c", line],
        cwd: folder,
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout);
    };
    const make = () =>
      sh(`/bin/sh '${join(EXAMPLES, "certificates.sh")}' secllama.lan nats-1 gpu-1`);
    const read = (name: string) => Deno.readTextFile(join(folder, name));
    const names = ["ca", "secllama.lan", "nats-1", "gpu-1"];
    const keys = () => Promise.all(names.map((name) => read(`${name}.key`)));
    try {
      await make();
      const before = await keys();
      assert.equal(new Set(before).size, names.length);
      await sh("mkdir before && cp *.pem before");
      await make();
      assert.deepEqual(await keys(), before);
      // Who has the first authority, or the balancer's first certificate, believes the new ones.
      for (const name of ["nats-1", "gpu-1"]) {
        assert.notEqual(await read(`${name}.pem`), await read(`before/${name}.pem`));
        await sh(`openssl verify -CAfile before/ca.pem ${name}.pem`);
        await sh(`openssl verify -CAfile ca.pem before/${name}.pem`);
      }
      const publicKey = (file: string) => sh(`openssl x509 -noout -pubkey -in ${file}`);
      assert.equal(await publicKey("secllama.lan.pem"), await publicKey("before/secllama.lan.pem"));
      const both = await read("secllama.lan.both.pem");
      assert.equal(both, await read("secllama.lan.pem") + await read("secllama.lan.key"));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
