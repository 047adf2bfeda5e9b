/**
 * A clock that is set by a day, forwards and back, while serve, its proxy and its model run: the record, limits, tokens that end,
 * sessions of people. Their clocks alone: the identity provider and the person's own machine keep theirs.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { falseClock, noFalseClock } from "../support/clock.ts";
import { loginBy, startProvider } from "../support/identity_provider.ts";
import { keysetHost } from "../support/keyset_host.ts";
import { runToEnd } from "../support/run_to_end.ts";
import { newHome, secllama, type Served, startServe } from "../support/serve.ts";

const DAY = 86_400;

const missing = Deno.env.get("SECLLAMA_FULL") === "1"
  ? await noFalseClock()
  : "its parts have tests of their own; SECLLAMA_FULL=1 runs it";
if (missing !== undefined) console.log(`skipped: another clock: ${missing}`);

Deno.test({
  name: "firm: the clock of a running host is set by a day, forwards and back",
  ignore: missing !== undefined,
  fn: otherClock,
});

async function otherClock(t: Deno.TestContext): Promise<void> {
  const idp = await startProvider();
  const { home, env: base } = await newHome();
  const { dataDir, serve } = await keysetHost(home, 0);
  const clock = await falseClock(home);
  await Deno.writeTextFile(
    join(dataDir, "config.toml"),
    [
      'audit = "on"',
      "require_token = true",
      // A private root would not have the library, and the model's process another clock than the gateway's.
      "enable_sandbox = false",
      `oidc_issuer = "${idp.issuer}"`,
      'oidc_roles = "*=staff"',
      "",
    ].join("\n"),
  );
  const adminEnv = { ...base, ...serve.env, XDG_STATE_HOME: join(home, "state") };
  const personEnv = { ...base, SECLLAMA_DATA_DIR: join(home, "anna") };
  const keyed = (folder: string, args: readonly string[]) => [
    "/bin/sh",
    "-c",
    `exec "$@" 3<"${home}/passphrase"`,
    "sh",
    ...secllama([...args, `--key-file=${folder}/keys.json`, "--passphrase-fd=3"]),
  ];
  const run = async (argv: readonly string[], env: Record<string, string>, expected = 0) => {
    const { code, stdout, stderr } = await runToEnd(argv, { env, cwd: home, timeoutSeconds: 300 });
    assert.equal(code, expected, `${argv.join(" ")}: ${stdout}${stderr}`);
    return stdout + stderr;
  };
  const admin = (line: string) => run(keyed(home, line.split(" ")), adminEnv);
  const anna = (args: readonly string[], expected = 0) =>
    run(keyed(join(home, "anna"), args), personEnv, expected);
  const tokenOf = async (line: string) => {
    const said = await admin(`token create ${line} --json`);
    return JSON.parse(said.slice(said.indexOf("{"))).token as string;
  };
  let served: Served | undefined;
  const ask = async (token: string) => {
    const answer = await fetch(`${served!.proxyUrl}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({
        ...{ model: "demo", stream: false, options: { num_predict: 2 } },
        messages: [{ role: "user", content: "Hello" }],
      }),
    });
    const { error } = await answer.json();
    return { status: answer.status, error, wait: Number(answer.headers.get("retry-after")) };
  };
  const statusOf = async (token: string) => (await ask(token)).status;
  try {
    await Deno.mkdir(join(home, "anna"));
    await admin("role set staff --requests-minute 1000");
    await admin("role set daily --requests-day 2");
    await admin("role set hurried --requests-minute 2");
    const brief = await tokenOf("brief --role staff --expires 12h");
    const long = await tokenOf("long --role staff --expires 90d");
    const daily = await tokenOf("daily --role daily");
    const hurried = await tokenOf("hurried --role hurried");
    served = await startServe({
      env: adminEnv,
      args: serve.args.filter((arg) => arg !== "--no-proxy"),
      under: [...clock.under, ...serve.under],
    });
    const work = (expected: number) => anna(["run", "demo", "Hello", "--num-predict=2"], expected);

    await t.step("today", async () => {
      const done = await loginBy(
        keyed(join(home, "anna"), ["login", served!.gatewayUrl]),
        async (lines, browser) => {
          await browser.signIn(await browser.open((await lines.next()).value), "anna");
        },
        { env: personEnv, cwd: home },
      );
      assert.match(done.said, /as anna, role staff/, done.error);
      await work(0);
      assert.equal(await statusOf(brief), 200);
      assert.equal(await statusOf(long), 200);
      for (const expected of [200, 200, 429]) assert.equal(await statusOf(daily), expected);
    });
    await t.step("a day later: what ended has ended, a new day has new amounts", async () => {
      await clock.set(DAY);
      assert.equal(await statusOf(long), 200);
      assert.equal(await statusOf(brief), 401);
      for (const expected of [200, 200, 429]) assert.equal(await statusOf(daily), expected);
      for (let i = 0; i < 3; i++) await ask(hurried);
      // Her session was for an hour. Her machine's clock and the provider's are a day behind: an error, no way in.
      await work(9);
      await anna(["login", "--refresh"], 9);
    });
    await t.step("back again: nobody is held up for a day", async () => {
      await clock.set(0);
      assert.equal(await statusOf(long), 200);
      assert.equal(await statusOf(brief), 200, "it ends in half a day");
      const over = await ask(daily);
      assert.equal(over.status, 429, "a clock that is set back opens no new day");
      assert.ok(over.wait <= DAY, `told to come again in ${over.wait} s`);
      const { status, wait } = await ask(hurried);
      assert.ok(status === 200 || wait <= 120, `a minute's limit: told to come again in ${wait} s`);
      await anna(["login", "--refresh"]);
      await work(0);
    });
    await t.step("a day before: what began today still goes on", async () => {
      await clock.set(-DAY);
      assert.equal(await statusOf(long), 200);
      assert.equal(await statusOf(brief), 200);
      await work(0);
      await admin("role set staff --requests-minute 2000");
      assert.equal(await statusOf(long), 200);
    });
    await t.step("keys are rotated under one clock, and used under another", async () => {
      await admin("key rotate");
      assert.equal(await statusOf(long), 200);
      await clock.set(DAY);
      assert.equal(await statusOf(long), 200);
      await clock.set(0);
      assert.equal(await statusOf(long), 200);
      await work(0);
    });
    assert.equal((await served.stop()).code, 0);
    await t.step("the record is whole, and says what the clock did", async () => {
      const said = await admin("audit verify");
      assert.match(said, /^whole/);
      assert.match(said, /time goes back \d+ times?; the clock was moved \d+ times?/);
      const moved = (await run(
        secllama("audit list --event clock-moved --json --last 0".split(" ")),
        adminEnv,
      )).trim()
        .split("\n").filter((row) => row.startsWith("{"))
        .map((row) => Math.round(JSON.parse(row).by_ms / 1000 / DAY));
      for (const days of [1, -1, 2]) assert.ok(moved.includes(days), `${days}: ${moved}`);
    });
  } finally {
    await served?.stop().catch(() => {});
    await idp.close();
    await Deno.remove(home, { recursive: true });
  }
}
