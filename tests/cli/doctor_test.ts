/** The doctor's verdicts: what was not run is neither held nor got out, and a serve that runs is what is judged. */
import assert from "node:assert/strict";
import {
  type Finding,
  judgeSettings,
  type Result,
  type Switches,
  switchesOf,
  verdictOf,
} from "../../src/app/findings.ts";
import { configured } from "../../src/app/banner.ts";
import { loadConfig } from "../../src/config/config.ts";
import { weakenings } from "../../src/gateway/security_status.ts";
import { findServes } from "../../src/app/running_serve.ts";
import { announcedServes, announceServe } from "../../src/app/serve_announcement.ts";
import { type Check, reportLines } from "../../src/cli/doctor.ts";
import { ATTACKS } from "../../src/escape/attacks/list.ts";
import { COUNTED } from "../../src/escape/attacks/network.ts";
import type { AttackRunOutcome, AttackRunResult } from "../../src/escape/run/attack_run.ts";
import { judge } from "../../src/escape/run/judge.ts";
import { cli, newHome, startServe } from "../support/serve.ts";

const NAMES = ATTACKS.filter((attack) => !attack.ends).map((attack) => attack.name);
const REFUSED: AttackRunOutcome = { out: false, step: "openat", errno: "EACCES" };

/** A run whose attacker ended after `done` attacks, all refused. */
function endedAfter(done: number, more: Partial<AttackRunResult> = {}): AttackRunResult {
  return {
    ordered: NAMES,
    started: true,
    outcomes: new Map(NAMES.slice(0, done).map((name) => [name, REFUSED])),
    lockdown: [],
    before: "",
    after: "",
    hits: {},
    absent: new Set(),
    changed: [],
    code: 1,
    signal: null,
    stderr: "",
    ...more,
  } as AttackRunResult;
}

Deno.test("judge: an attacker that never came to its place tried nothing, however it ended", () => {
  for (const end of [{ code: 1 }, { code: 0 }, { code: 159 }, { code: 0, signal: "SIGSYS" }]) {
    const run = endedAfter(0, { started: false, ...end });
    const verdicts = new Set(NAMES.map((name) => judge(name, run).verdict));
    assert.deepEqual([...verdicts], ["not run"], JSON.stringify(end));
  }
});

Deno.test("judge: an attack that ends the attacker is judged, those after it were not run", () => {
  for (let done = 0; done < NAMES.length; done++) {
    const left = judge(NAMES[done]!, endedAfter(done, { code: 0 }));
    assert.equal(left.verdict, "out", "it ended by itself: another program took its place");
    const killed = endedAfter(done, { signal: "SIGSYS", code: 159 });
    assert.equal(judge(NAMES[done]!, killed).verdict, "killed");
    for (const name of NAMES.slice(done + 1)) {
      assert.equal(judge(name, killed).verdict, "not run", name);
    }
    for (const name of NAMES.slice(0, done)) assert.equal(judge(name, killed).verdict, "blocked");
  }
});

Deno.test("judge: a listener that was reached outweighs an attacker that says nothing", () => {
  for (const [name, target] of COUNTED) {
    const run = endedAfter(0, { started: false, ordered: [name], hits: { [target]: 1 } });
    assert.notEqual(judge(name, run).verdict, "not run", name);
  }
});

Deno.test("judge: a way that this machine does not have was not tried, whatever the attacker says of it", () => {
  for (const [name, target] of COUNTED) {
    const attacks = NAMES.map((other): [string, AttackRunOutcome] => [other, REFUSED]);
    const run = { ...endedAfter(0), outcomes: new Map(attacks) };
    assert.equal(judge(name, run).verdict, "blocked", name);
    const without = judge(name, { ...run, absent: new Set([target]) });
    assert.deepEqual([without.verdict, without.absent], ["not run", true], name);
  }
});

const RESULTS: readonly Result[] = ["holds", "fails", "not run", "note"];

Deno.test("doctor: 'all holds' is said of no list that has a failure, or what was not run", () => {
  for (let mask = 0; mask < 4 ** 3; mask++) {
    const checks = [0, 1, 2].map((i): Check => ({
      name: `check ${i}`,
      result: RESULTS[(mask >> (2 * i)) & 3]!,
      observed: "seen",
    }));
    const has = (result: Result) => checks.some((check) => check.result === result);
    const verdict = verdictOf(checks);
    assert.equal(verdict, has("fails") ? "fails" : has("not run") ? "not judged" : "holds");
    const limit: Check = {
      name: "attack: shared memory bomb",
      result: "note",
      observed: "GOT OUT",
      stoppedBy: "nothing",
      limit: true,
    };
    const text = reportLines({ checks, limits: [limit], verdict, version: "1", serves: [] });
    assert.equal(text.includes("all holds"), verdict === "holds");
    const last = text.findIndex((line) => /holds$|"holds"$/.test(line) && !line.includes("check"));
    assert.ok(text.findIndex((line) => line.includes("GOT OUT")) > last, text.join("\n"));
  }
});

Deno.test("judge: each setting that is off fails, each that weakens is said", () => {
  for (let mask = 0; mask < 16; mask++) {
    const [encryption, sandbox, strict, modelManagement] = [1, 2, 4, 8].map((bit) =>
      (mask & bit) !== 0
    ) as [boolean, boolean, boolean, boolean];
    const switches: Switches = { encryption, sandbox, strict, modelManagement };
    const findings = judgeSettings(switches);
    const failed = findings.filter(({ result }) => result === "fails").length;
    assert.equal(failed, [encryption, sandbox, strict].filter((on) => !on).length);
    assert.equal(findings.some(({ name }) => name === "model management"), modelManagement);
  }
});

Deno.test("judge: of a running serve the same is known as of a configuration", () => {
  const some = { oidcIssuer: "https://id.example", allowModelManagement: true };
  for (
    const change of [
      {},
      { enableEncryption: false },
      { enableSandbox: false },
      { strictNetworkIsolation: false },
      { allowModelManagement: true },
      { audit: "lenient" as const },
      { oidcDevice: true },
      { ...some, oidcDevice: true },
      { ...some, oidcDevice: false },
      { proxyAllowedOrigins: ["https://page.example"], proxyAllowedHosts: ["host.example"] },
    ]
  ) {
    const config = { ...loadConfig({ env: {} }), ...change };
    const said = switchesOf({
      encryption: { enabled: config.enableEncryption, format: "", plaintext_requests: "refused" },
      isolation: {
        level: "",
        sandbox: config.enableSandbox,
        strict: config.strictNetworkIsolation,
      },
      ...weakenings(config, config.allowModelManagement, false),
    });
    assert.deepEqual(judgeSettings(said), judgeSettings(configured(config)));
  }
});

Deno.test("serves: one that ended without removing its announcement is not there", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const withdraw = await announceServe(folder, { gateway: "http://127.0.0.1:1", proxyPort: 2 });
    const [own] = await announcedServes(folder);
    assert.deepEqual([own!.pid, own!.proxyPort], [Deno.pid, 2]);
    // A process of the same number that began at another time, and a file that is none.
    const other = JSON.stringify({ ...own, began: "1" });
    await Deno.writeTextFile(`${folder}/serve-${Deno.pid}.json`, other);
    await Deno.writeTextFile(`${folder}/serve-1.json`, "{");
    if (Deno.build.os === "linux") assert.deepEqual(await announcedServes(folder), []);
    await withdraw();
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["serve-1.json"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const OFF = {
  SECLLAMA_ENABLE_ENCRYPTION: "false",
  SECLLAMA_ENABLE_SANDBOX: "false",
  SECLLAMA_STRICT_NETWORK_ISOLATION: "false",
};
/** What docs/doctor.md promises of --json. */
const CHECK_FIELDS = ["name", "result", "observed", "hint", "expected", "stoppedBy", "limit"];

for (const proxy of [true, false]) {
  Deno.test(`doctor: beside a serve with everything off ${proxy ? "" : "and no proxy "}nothing 'holds'`, async () => {
    const { home, env } = await newHome();
    const dataDir = `${home}/data`;
    const served = await startServe({
      env: { ...OFF, SECLLAMA_DATA_DIR: dataDir },
      args: ["--ephemeral", ...(proxy ? [] : ["--no-proxy"])],
    });
    try {
      // The doctor's own settings are all on: it must not judge those. Nor what else serves at this machine's usual ports.
      const ports = { SECLLAMA_PORT: "0", SECLLAMA_PROXY_PORT: "0" };
      const own = { ...env, ...ports, SECLLAMA_DATA_DIR: dataDir };
      const { code, stdout, stderr } = await cli(["doctor", "--json"], { env: own });
      assert.equal(code, 9, stderr);
      const report = JSON.parse(stdout);
      assert.deepEqual(
        Object.keys(report),
        ["schema", "version", "verdict", "serves", "checks", "limits"],
      );
      assert.deepEqual([report.schema, report.verdict, report.limits], [1, "fails", []]);
      const at = new URL(proxy ? served.proxyUrl : served.gatewayUrl).host;
      assert.deepEqual(report.serves, [{ at, judged: true }]);
      for (const check of report.checks) {
        assert.ok(Object.keys(check).every((key) => CHECK_FIELDS.includes(key)), check.name);
        assert.ok(RESULTS.includes(check.result), check.name);
      }
      const result = (name: string) =>
        report.checks.find((check: Finding) => check.name === name)?.result;
      for (const setting of ["encryption", "the sandbox", "strict isolation"]) {
        assert.equal(result(`serve at ${at}: ${setting}`), "fails", setting);
      }
      assert.equal(result(`serve at ${at}: demo:latest: attack on live listeners`), "not run");
      assert.equal(result("attacks"), "not run");
      if (!proxy) return;

      // A serve of another data folder cannot prove itself: it is found by its port, and not taken for judged.
      const port = Number(new URL(served.proxyUrl).port);
      const elsewhere = { hostname: "127.0.0.1", port, dataDir: `${home}/other` };
      const [found] = await findServes(elsewhere, new AbortController().signal);
      assert.ok(found?.status instanceof Error);
    } finally {
      await served.stop();
      await Deno.remove(home, { recursive: true });
    }
  });
}
