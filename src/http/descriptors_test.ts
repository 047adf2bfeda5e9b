/** Running out of file descriptors: bare `Deno.serve` ends its process, the listener goes on. */
import assert from "node:assert/strict";
import { settled } from "../../tests/support/patience.ts";
import { ask, pause, Raw } from "./testing.ts";
import { isOn } from "../../tests/support/systems.ts";

const LIMIT = 48;
const server = (hardened: boolean) => `
${
  hardened
    ? `import { serveHardened } from ${JSON.stringify(new URL("./mod.ts", import.meta.url).href)};
       import { testRules } from ${JSON.stringify(new URL("./testing.ts", import.meta.url).href)};`
    : ""
}
// As both roles do; the runtime itself needs descriptors for it, and takes them at its first use.
Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
const handler = () => new Response("served");
${
  hardened
    ? `const { addr } = await serveHardened({ hostname: "127.0.0.1", port: 0, handler, rules: testRules(),
         logger: { debug() {}, info() {}, warn() {}, error() {} }, signal: new AbortController().signal });`
    : `const { addr } = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);`
}
console.log(addr.port);
`;

/** Opens more connections than the server has descriptors for; whether it still lives and serves afterwards. */
async function exhaust(hardened: boolean): Promise<{ alive: boolean; served: boolean }> {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, server(hardened));
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `ulimit -n ${LIMIT}; exec "$0" run --no-check --no-lock --allow-net --allow-ffi --allow-read "$1"`,
      Deno.execPath(),
      script,
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  let ended = false;
  void child.status.then(() => ended = true);
  const open: Raw[] = [];
  try {
    const port = Number(new TextDecoder().decode((await reader.read()).value));
    assert.ok(port > 0, "the server did not start");
    for (let i = 0; i < 2 * LIMIT && !ended; i++) {
      const raw = await Raw.open(port).catch(() => undefined);
      if (raw) open.push(raw);
    }
    if (!hardened) await settled(child.status, "the end of bare Deno.serve");
    await pause(500);
    if (ended) return { alive: false, served: false };
    // Still under siege.
    using raw = await ask(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return { alive: !ended, served: raw.text.endsWith("served") };
  } finally {
    open.forEach((raw) => raw[Symbol.dispose]());
    if (!ended) child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    await Deno.remove(script);
  }
}

Deno.test({
  name: "attack: more connections than file descriptors",
  ignore: isOn("windows"),
  async fn() {
    assert.equal((await exhaust(false)).alive, false, "bare Deno.serve survived it");
    assert.deepEqual(await exhaust(true), { alive: true, served: true });
  },
});
