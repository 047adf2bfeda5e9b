/** Who pairs with a key source and a port of his own is told a command that starts the proxy as it stands. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { until } from "../support/patience.ts";
import { cli, newHome, secllama } from "../support/serve.ts";

Deno.test("proxy --pair with a key file: the command that it prints starts the proxy", async () => {
  const host = await newHome();
  const laptop = await newHome();
  const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
  try {
    const made = await cli(
      ["pair", "laptop", "--string", "--no-qr", "--url", "http://127.0.0.1:1"],
      {
        env: { ...host.env, SECLLAMA_KEY: key },
      },
    );
    assert.equal(made.code, 0, made.stderr);
    const file = join(laptop.home, "my keys.json");
    await makeCheapKeyFile(file, "correct horse");
    await Deno.writeTextFile(join(laptop.home, "passphrase"), "correct horse");
    const program = secllama([]).map((word) => `'${word}'`).join(" ");
    /** The line as it is typed there. */
    const start = (line: string) => {
      const child = new Deno.Command("/bin/sh", {
        args: ["-c", `secllama() { ${program} "$@"; }; ${line} 3<passphrase`],
        ...{ env: laptop.env, clearEnv: true, cwd: laptop.home },
        ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
      }).spawn();
      return child;
    };
    const pair = start(
      "secllama proxy --pair - --key-file 'my keys.json' --passphrase-fd 3 --proxy-port 0",
    );
    const writer = pair.stdin.getWriter();
    await writer.write(new TextEncoder().encode(made.stdout));
    await writer.close();
    const { code, stderr } = await pair.output();
    const said = new TextDecoder().decode(stderr);
    assert.equal(code, 0, said);
    // Control: without them it is refused.
    const bare = await cli(["proxy"], { env: laptop.env });
    assert.equal(bare.code, 9, bare.stderr);
    const line = /Start the proxy with: (.*)/.exec(said)![1]!;
    const proxy = start(`exec ${line.replace("secllama", program)}`);
    let out = "";
    const reading = (async () => {
      for await (const part of proxy.stdout.pipeThrough(new TextDecoderStream())) out += part;
    })();
    const errors = new Response(proxy.stderr).text();
    let ended = false;
    void proxy.status.then(() => ended = true);
    await until(() => ended || out.includes("proxy ready on"), "the proxy is ready");
    assert.match(out, /proxy ready on/, ended ? await errors : line);
    proxy.kill("SIGTERM");
    await Promise.all([proxy.status, reading, errors, proxy.stdin.close().catch(() => {})]);
  } finally {
    for (const { home } of [host, laptop]) await Deno.remove(home, { recursive: true });
  }
});
