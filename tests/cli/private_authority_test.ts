/** A gateway whose certificate is of the firm's own authority: commands trust it where the system does, and say what to do where not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodePairing } from "../../src/client/pairing.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { runToEnd } from "../support/run_to_end.ts";
import { newHome, secllama } from "../support/serve.ts";

const SYSTEM = "/etc/ssl/certs/ca-certificates.crt";
const MAKE = `curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $curve -keyout firm.key -out firm.pem -days 2 -subj /CN=firm
openssl req $curve -keyout server.key -out server.csr -subj /CN=localhost
printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > server.ext
openssl x509 -req -in server.csr -CA firm.pem -CAkey firm.key -CAcreateserial -out server.pem -days 2 -extfile server.ext
{ cat ${SYSTEM}; printf '# M\\374ller\\n'; cat firm.pem; } > trusted.pem
openssl x509 -in firm.pem -outform DER -out firm.cer
echo nonsense > nonsense.pem`;
/** Runs "$@" where the system's file is another, which nobody else sees. */
const WITH_FILE = ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec"];
const BIND = `mount --bind "$0" ${SYSTEM}; exec "$@"`;

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

async function whyNot(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "another file for the system's authorities is Linux'";
  if (!await Deno.stat(SYSTEM).then(() => true, () => false)) return `there is no ${SYSTEM}`;
  const tried = await runToEnd([...WITH_FILE, BIND, SYSTEM, "/bin/true"], { env: {} });
  return tried.code === 0 ? undefined : `it needs a mount namespace: ${tried.stderr.trim()}`;
}

const why = await whyNot();
if (why !== undefined) console.log(`skipped: a firm's own authority: ${why}`);

Deno.test({
  name: "a gateway of the firm's own authority: commands trust it where the system does",
  ignore: why !== undefined,
  fn: gatewayOfOwnAuthority,
});

async function gatewayOfOwnAuthority(): Promise<void> {
  const { home, env } = await newHome();
  try {
    const made = await runToEnd(["/bin/sh", "-ec", MAKE], {
      env: { PATH: "/usr/bin:/bin" },
      cwd: home,
    });
    assert.equal(made.code, 0, made.stderr);
    await Deno.writeTextFile(join(home, "words"), "a passphrase of nobody's", { mode: 0o600 });
    await makeCheapKeyFile(join(home, "keys.json"), "a passphrase of nobody's");
    const read = (name: string) => Deno.readTextFile(join(home, name));
    const asked: string[] = [];
    await using server = Deno.serve(
      {
        ...{ hostname: "127.0.0.1", port: 0, onListen() {} },
        ...{ cert: await read("server.pem"), key: await read("server.key") },
      },
      (request) => {
        asked.push(new URL(request.url).pathname);
        return Response.json({ models: [] });
      },
    );
    const url = `https://localhost:${server.addr.port}`;
    const keyed = (args: readonly string[]) => [
      ...["/bin/sh", "-c", 'exec "$@" 3<words <pairing', "sh"],
      ...secllama([...args, `--key-file=${home}/keys.json`, "--passphrase-fd=3"]),
    ];
    const run = (argv: readonly string[], trusted?: string) => {
      const wrapped = trusted === undefined
        ? argv
        : [...WITH_FILE, BIND, join(home, trusted), ...argv];
      return runToEnd(wrapped, { env, cwd: home });
    };
    await Deno.writeTextFile(
      join(home, "pairing"),
      encodePairing({
        url: `${url}/`,
        pskId: `client.0011223344556677.${random(16).toHex()}`,
        psk: random(32),
        hid: random(16),
      }) + "\n",
    );

    const login = keyed(["login", url]);
    const stranger = await run(login);
    assert.equal(stranger.code, 5, stranger.stdout + stranger.stderr);
    assert.match(stranger.stderr, /certificate .* refused: nobody who is trusted here vouches/);
    assert.match(stranger.stderr, /^hint: .*--ca FILE; or have this system trust it$/m);
    const pair = keyed(["proxy", "--pair", "-"]);
    assert.match((await run(pair)).stderr, /not tried: the certificate .* is refused/);
    assert.deepEqual(asked, [], "it was told nothing");

    // This gateway names no identity provider: it was asked, and believed to be the one of this name.
    const NAMES_NONE = /the gateway names no identity provider/;
    assert.match((await run(login, "trusted.pem")).stderr, NAMES_NONE);
    assert.match((await run([...login, "--ca=firm.pem"])).stderr, NAMES_NONE);
    assert.match((await run(pair, "trusted.pem")).stderr, /^It answers, and has 0 models\.$/m);
    assert.deepEqual(asked, ["/sealed/v1/sign-in", "/sealed/v1/sign-in", "/api/tags"]);

    for (const file of ["nonsense.pem", "firm.cer"]) {
      const none = await run([...login, `--ca=${file}`]);
      assert.equal(none.code, 2, none.stderr);
      assert.match(none.stderr, /the file of --ca holds no certificate/);
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
