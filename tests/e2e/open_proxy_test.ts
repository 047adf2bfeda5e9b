/** The proxy beyond this user's loopback: a Unix socket and TLS, each with a token and nothing that is the owner's. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { join } from "node:path";
import { startOpenProxy } from "../../src/proxy/mod.ts";
import { silentLogger } from "../../src/log.ts";
import { cli, newHome, secllama, startServe } from "../support/serve.ts";

const KEY = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A request over a Unix socket, as Node's clients make it. */
function over(socketPath: string, path: string, headers: Record<string, string>, body?: unknown) {
  return new Promise<Answer>((resolve, reject) => {
    const asked = request({
      socketPath,
      path,
      method: body === undefined ? "GET" : "POST",
      headers: { host: "localhost", "content-type": "application/json", ...headers },
    }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => text += chunk);
      answer.on("end", () => resolve({ status: answer.statusCode!, body: text }));
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const CHAT = {
  model: "demo",
  stream: false,
  messages: [{ role: "user", content: "What is TLS?" }],
};

Deno.test("the proxy for others: a Unix socket, TLS, and always a token", async (t) => {
  const { home, env: base } = await newHome();
  const socket = join(home, "proxy.sock");
  const env = { ...base, SECLLAMA_KEY: KEY, SECLLAMA_DATA_DIR: join(home, "data") };
  const token = async () => {
    const made = await cli(["token", "create", `t${crypto.randomUUID().slice(0, 8)}`], { env });
    assert.equal(made.code, 0, made.stderr);
    return made.stdout.trim();
  };
  await Deno.mkdir(join(home, "data"), { mode: 0o700 });
  // What a proxy that was killed left behind.
  Deno.listen({ transport: "unix", path: socket }).close();
  const own = await token();
  const served = await startServe({
    args: [],
    env: { ...env, SECLLAMA_PROXY_LISTEN: `unix:${socket}`, SECLLAMA_PROXY_LISTEN_MODE: "620" },
  });
  try {
    await t.step("a Unix socket: who shows a token is answered", async () => {
      assert.equal((await Deno.lstat(socket)).mode! & 0o777, 0o620);
      assert.equal((await over(socket, "/api/tags", {})).status, 401);
      assert.equal((await over(socket, "/api/tags", { "x-api-key": "slt_wrong" })).status, 401);
      const key = { authorization: `Bearer ${own}` };
      assert.match((await over(socket, "/api/tags", key)).body, /demo/);
      const answer = await over(socket, "/api/chat", key, CHAT);
      assert.equal(answer.status, 200);
      assert.ok(JSON.parse(answer.body).message.content);
      // This user's own, on loopback, needs none.
      assert.equal((await fetch(`${served.proxyUrl}/api/tags`)).status, 200);
    });

    await t.step("nothing that is the owner's is there, whatever token is shown", async () => {
      for (const path of ["/secllama/history", "/secllama/docs", "/secllama/page/app.js"]) {
        const { status } = await over(socket, path, { authorization: `Bearer ${own}` });
        assert.ok([403, 404].includes(status), `${path}: ${status}`);
      }
      const page = await over(socket, "/", { authorization: `Bearer ${own}`, accept: "text/html" });
      assert.doesNotMatch(page.body, /<html/i);
    });

    await t.step("another host name than it is called by is refused", async () => {
      const { status } = await over(socket, "/api/tags", {
        host: "evil.example",
        authorization: `Bearer ${own}`,
      });
      assert.equal(status, 403);
    });

    await t.step("an address needs TLS; without it nothing listens", async () => {
      const refused = await cli(
        ["proxy", "--gateway", served.gatewayUrl, "--proxy-port=0", "--listen", "0.0.0.0:0"],
        { env },
      );
      assert.equal(refused.code, 9, refused.stderr);
      assert.match(refused.stderr, /does not listen on 0\.0\.0\.0 without TLS/);
      assert.match(refused.stderr, /--tls-cert/);
      // Nor by a mistake of ours.
      await assert.rejects(
        startOpenProxy({
          gateway: "http://127.0.0.1:1",
          fetch: () => Promise.reject(new Error("not reached")),
          metadata: () => Promise.reject(new Error("not reached")),
          outer: () => undefined,
          logger: silentLogger,
          gate: {} as never,
        }, { hostname: "0.0.0.0", port: 0, signal: AbortSignal.abort() }),
        { code: "remote-refused" },
      );
    });

    await t.step("over TLS: who shows a token is answered, at the certificate's name", async () => {
      const [cert, key] = [join(home, "cert.pem"), join(home, "key.pem")];
      const made = await new Deno.Command("/usr/bin/openssl", {
        args: [
          ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
          ...["-nodes", "-days", "2", "-subj", "/CN=localhost"],
          ...["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"],
          ...["-keyout", key, "-out", cert],
        ],
        stderr: "piped",
      }).output();
      assert.equal(made.code, 0, new TextDecoder().decode(made.stderr));
      const argv = secllama([
        ...["proxy", "--gateway", served.gatewayUrl, "--proxy-port=0", "--listen", "0.0.0.0:0"],
        ...["--tls-cert", cert, "--tls-key", key],
      ]);
      const proxy = new Deno.Command(argv[0]!, {
        args: argv.slice(1),
        env,
        clearEnv: true,
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      try {
        let said = "";
        const reader = proxy.stdout.pipeThrough(new TextDecoderStream()).getReader();
        while (!/https:\/\/\S+\n/.test(said)) {
          const { done, value } = await reader.read();
          assert.equal(done, false, said);
          said += value;
        }
        void (async () => {
          while (!(await reader.read()).done);
        })();
        const url = /https:\/\/\S+/.exec(said)![0];
        using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(cert)] });
        const ask = (headers: Record<string, string>) =>
          fetch(`${url}/api/chat`, {
            client,
            method: "POST",
            headers: { "content-type": "application/json", ...headers },
            body: JSON.stringify(CHAT),
          });
        const none = await ask({});
        assert.equal(none.status, 401);
        await none.body?.cancel();
        const answer = await ask({ authorization: `Bearer ${own}` });
        assert.equal(answer.status, 200);
        assert.ok((await answer.json()).message.content);
        // Without TLS there is nothing to be read on that port.
        await assert.rejects(fetch(url.replace("https", "http")));
      } finally {
        proxy.kill("SIGTERM");
        await proxy.status;
      }
    });
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});
