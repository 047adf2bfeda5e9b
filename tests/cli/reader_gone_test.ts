/** What prints into a pipe that nobody reads any more: `secllama run … | head -c 30`. As with every program, that is no failure. */
import assert from "node:assert/strict";
import { readChallenge } from "../../src/api/proxy_identity.ts";
import { ROUTES } from "../../src/api/routes.ts";
import { toBase64Url, utf8 } from "../../src/bytes.ts";
import { dataDirectory } from "../../src/config/paths.ts";
import { ProxyIdentity } from "../../src/proxy/identity.ts";
import { settled, until } from "../support/patience.ts";
import { cli, newHome, secllama } from "../support/serve.ts";

interface Started {
  readonly child: Deno.ChildProcess;
  /** Its end: the code, and what it said on standard error. */
  readonly end: Promise<{ code: number; said: string }>;
}

function start(args: readonly string[], env: Record<string, string>): Started {
  const [program, ...argv] = secllama(args);
  const child = new Deno.Command(program!, {
    args: argv,
    env,
    clearEnv: true,
    cwd: env["HOME"]!,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const said = new Response(child.stderr).text();
  const end = (async () => ({ code: (await child.status).code, said: await said }))();
  return { child, end };
}

/** Reads up to `bytes` of what it prints, then no more. */
async function readOnly(child: Deno.ChildProcess, bytes: number): Promise<void> {
  const reader = child.stdout.getReader();
  for (let seen = 0; seen < bytes;) {
    const { value, done } = await reader.read();
    assert.ok(!done, "it ended by itself");
    seen += value.length;
  }
  await reader.cancel();
}

/** A proxy that proves itself, and answers without an end. */
async function endlessProxy(dataDir: string) {
  const identity = await ProxyIdentity.make();
  const left = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (r) => {
    const body = await r.json();
    if (new URL(r.url).pathname === ROUTES.identity.path) {
      const signature = await identity.sign(readChallenge(body)!);
      return Response.json({ signature: toBase64Url(signature!) });
    }
    const line = utf8(JSON.stringify({ message: { content: "and so on " }, done: false }) + "\n");
    return new Response(
      new ReadableStream({
        pull: (stream) => stream.enqueue(line),
        cancel: () => left.resolve(),
      }),
    );
  });
  await identity.announce(dataDir, server.addr.port);
  return {
    port: server.addr.port,
    /** Settles when its client has gone. */
    left: left.promise,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("run, in an answer without an end: it ends quietly once nobody reads it", async () => {
  const { home, env } = await newHome();
  await using proxy = await endlessProxy(dataDirectory(env));
  const { child, end } = start(["run", `--proxy-port=${proxy.port}`, "demo", "Go on."], env);
  await readOnly(child, 30);
  assert.deepEqual(await settled(end, "its end"), { code: 0, said: "" });
  await settled(proxy.left, "the end of its request");
  await Deno.remove(home, { recursive: true });
});

Deno.test("serve goes on when nobody reads what it prints; what only prints ends quietly", async () => {
  const { home, env: plain } = await newHome();
  const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
  const env = { ...plain, SECLLAMA_KEY: key, SECLLAMA_AUDIT: "on" };
  const { child, end } = start(["serve", "--port=0", "--proxy-port=0"], env);
  try {
    await readOnly(child, 0);
    const urls = async (): Promise<string[]> => {
      const { stdout } = await cli(["status", "--json"], { env });
      const { serves } = JSON.parse(stdout || '{"serves":[]}');
      return serves.flatMap(({ proxy }: { proxy?: string }) => proxy ?? []);
    };
    await until(async () => (await urls()).length > 0, "serve is there");
    const [url] = await urls();
    const { models } = await (await fetch(`${url}/api/tags`)).json();
    assert.equal(models[0].name, "demo:latest");
    for (const args of [["audit", "export", "-"], ["audit", "list"], ["list"]]) {
      const whole = await cli(args, { env });
      assert.equal(whole.code, 0, whole.stderr);
      assert.ok(whole.stdout.length > 30, whole.stdout);
      const printer = start(args, env);
      await readOnly(printer.child, 0);
      assert.deepEqual(
        await settled(printer.end, "its end"),
        { code: 0, said: "" },
        args.join(" "),
      );
    }
    child.kill("SIGTERM");
    assert.equal((await settled(end, "serve's end")).code, 0);
  } finally {
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await end;
    await Deno.remove(home, { recursive: true }).catch(() => {});
  }
});
