/** `status`: one screen of a serve that runs, and the banner's eight lines. */
import assert from "node:assert/strict";
import { statusLines } from "../../src/cli/status.ts";
import { spanOf } from "../../src/cli/spans.ts";
import { columnsOfText } from "../../src/cli/columns.ts";
import { findServes } from "../../src/app/running_serve.ts";
import { cli, newHome, startServe } from "../support/serve.ts";

const SCREEN = 24;

Deno.test("spans: in the largest unit that gives two or more", () => {
  const second = 1000;
  for (
    const [ms, text] of [
      [0, "1 second"],
      [119 * second, "119 seconds"],
      [120 * second, "2 minutes"],
      [7_199 * second, "119 minutes"],
      [2 * 3_600 * second, "2 hours"],
      [2 * 86_400 * second, "2 days"],
    ] as const
  ) assert.equal(spanOf(ms), text);
});

Deno.test("status: what serves, what is enforced, the key; as a screen and as JSON", async () => {
  const { home, env } = await newHome();
  const dataDir = `${home}/data`;
  const own = { ...env, SECLLAMA_DATA_DIR: dataDir };
  const none = await cli(["status", "--proxy-port=1"], { env: own });
  assert.deepEqual([none.code, none.stdout], [5, ""]);
  assert.match(none.stderr, /no serve runs from .*\nhint: to start one: secllama serve/);
  const served = await startServe({
    env: { SECLLAMA_DATA_DIR: dataDir, SECLLAMA_STRICT_NETWORK_ISOLATION: "false" },
  });
  try {
    assert.ok(served.banner.trimEnd().split("\n").length <= 8, served.banner);
    const { code, stdout, stderr } = await cli(["status"], { env: own });
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`proxy +${served.proxyUrl}\n`));
    assert.match(stdout, new RegExp(`gateway +${served.gatewayUrl} +\\(sealed requests only\\)`));
    assert.match(stdout, /model +demo:latest, ready, runner \d+\n/);
    assert.match(
      stdout,
      /isolation +weakened: \d+ layers enforced, \d+ on the runner's word \([^)]+\),\s+its own attack held/,
    );
    assert.match(stdout, /key +[0-9a-f]{16} in .*, \d+ seconds? old\n/);
    assert.match(stdout, /clients +0 paired\n/);
    assert.match(stdout, /warnings +strict isolation is off/);
    assert.ok(stdout.split("\n").length <= SCREEN, stdout);

    // A second one: told who has the port, and nothing of a stack.
    const port = new URL(served.proxyUrl).port;
    const second = await cli(["serve", "--ephemeral", "--port=0", `--proxy-port=${port}`], {
      env: own,
    });
    assert.equal(second.code, 5);
    assert.match(second.stderr, /^error: port \d+ .*a SecLlama serves there already\nhint: .*\n$/);

    const json = await cli(["status", "--json"], { env: own });
    const { schema, serves: [serve] } = JSON.parse(json.stdout);
    assert.deepEqual([schema, serve.pid, serve.proxy], [1, served.pid, served.proxyUrl]);
    assert.equal(serve.status.isolation.level, "weakened");

    const settings = { hostname: "127.0.0.1", port: 0, dataDir };
    const [found] = await findServes(settings, new AbortController().signal);
    for (const columns of [40, 60, 80, 200]) {
      for (const line of statusLines(found!, { now: Date.now(), columns })) {
        const word = Math.max(...line.split(/\s+/).map(columnsOfText)) + 14;
        assert.ok(columnsOfText(line) <= Math.max(columns, word), line);
      }
    }
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});
