/** `secllama ui` uses what runs, else starts what it needs. No browser is opened here: there is no desktop. */
import assert from "node:assert/strict";
import { cli, newHome, secllama, startServe } from "../support/serve.ts";
import { HANG_MS } from "../support/patience.ts";
import { tell } from "../support/signal.ts";

const HTML = { headers: { accept: "text/html" } };

Deno.test("ui: the serve that runs is used, and its page's address printed", async () => {
  const served = await startServe();
  try {
    const { env } = await newHome();
    const { port } = new URL(served.proxyUrl);
    const { code, stdout, stderr } = await cli(["ui", "--proxy-port", port], {
      env: { ...env, HOME: served.home },
    });
    assert.deepEqual([code, stdout], [0, `${served.proxyUrl}/\n`], stderr);
    assert.match(served.banner, new RegExp(`^ {2}page +${served.proxyUrl}/ `, "m"));
    assert.match(await (await fetch(served.proxyUrl, HTML)).text(), /<div id="app">/);
    const gateway = await fetch(served.gatewayUrl, HTML);
    assert.doesNotMatch(await gateway.text(), /<html/, "the gateway has no page");
  } finally {
    await served.stop();
  }
});

Deno.test("ui: where nothing runs it starts serve, which ends with it", async () => {
  const { home, env } = await newHome();
  const [program, ...args] = secllama([
    "ui",
    "--ephemeral",
    "--no-preload",
    "--port=0",
    "--proxy-port=0",
  ]);
  const child = new Deno.Command(program!, {
    args,
    env,
    clearEnv: true,
    cwd: home,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const timer = setTimeout(() => tell(child, "SIGKILL"), HANG_MS);
  try {
    let out = "";
    let url: string | undefined;
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      out += chunk;
      url ??= /^(http:\/\/127\.0\.0\.1:\d+\/)$/m.exec(out)?.[1];
      if (url === undefined) continue;
      assert.match(await (await fetch(url, HTML)).text(), /<div id="app">/);
      break;
    }
    assert.ok(url, out);
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0);
    await assert.rejects(fetch(url, HTML), "it is gone");
  } finally {
    clearTimeout(timer);
    await Deno.remove(home, { recursive: true });
  }
});
