/**
 * `doctor` beside a serve with protections switched off, one and two at a time. What is off is known apart from SecLlama's own word: by
 * a plaintext request to the gateway, by the runner's namespaces, by what a request without a record gets.
 */
import assert from "node:assert/strict";
import { cli, newHome, type Served, startServe } from "../support/serve.ts";
import { seeded, seeds } from "../support/seeds.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const LINUX = Deno.build.os === "linux";

interface Check {
  readonly name: string;
  readonly result: string;
  readonly observed: string;
}

/** A protection that its user can take away. */
interface Switch {
  readonly variable: string;
  readonly value: string;
  /** The check that says it, and what it comes to. */
  readonly check: string;
  readonly result: "fails" | "note";
}

const SWITCHES: readonly Switch[] = [
  { variable: "SECLLAMA_ENABLE_ENCRYPTION", value: "false", check: "encryption", result: "fails" },
  { variable: "SECLLAMA_ENABLE_SANDBOX", value: "false", check: "the sandbox", result: "fails" },
  {
    variable: "SECLLAMA_STRICT_NETWORK_ISOLATION",
    value: "false",
    check: "strict isolation",
    result: "fails",
  },
  { variable: "SECLLAMA_AUDIT", value: "lenient", check: "the audit log", result: "fails" },
  {
    variable: "SECLLAMA_ALLOW_MODEL_MANAGEMENT",
    value: "true",
    check: "model management",
    result: "note",
  },
  {
    variable: "SECLLAMA_PROXY_ALLOWED_ORIGINS",
    value: "https://page.example",
    check: "the proxy for web pages",
    result: "note",
  },
  {
    variable: "SECLLAMA_PROXY_ALLOWED_HOSTS",
    value: "host.docker.internal",
    check: "the proxy by other names",
    result: "note",
  },
];

/** None, each, and each two. */
const SETS: readonly (readonly Switch[])[] = [
  [],
  ...SWITCHES.map((one) => [one]),
  ...SWITCHES.flatMap((one, i) => SWITCHES.slice(i + 1).map((other) => [one, other])),
];

/** In a plain run two of those that cost little, other ones by another seed: with a sandbox every attack is made. */
function chosen(): typeof SETS {
  if (FULL) return SETS;
  console.log(`skipped: ${SETS.length - 2} of ${SETS.length} settings; SECLLAMA_FULL=1 runs them`);
  const cheap = SETS.filter((set) => set.some(({ check }) => check === "the sandbox"));
  const random = seeded(seeds(1)[0]!);
  return [0, 1].map(() => cheap.splice(Math.floor(random() * cheap.length), 1)[0]!);
}

/** Whether the gateway answers what is not sealed. */
async function plaintextServed({ gatewayUrl }: Served): Promise<boolean> {
  const answer = await fetch(`${gatewayUrl}/api/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "demo",
      stream: false,
      messages: [{ role: "user", content: "hi" }],
      options: { num_predict: 1 },
    }),
  });
  await answer.body?.cancel();
  return answer.ok;
}

/** Whether the runner is in this process's own network. */
function sharesNetwork({ banner }: Served): boolean {
  const pid = /runner (\d+)/.exec(banner)![1]!;
  const net = (of: string) => Deno.readLinkSync(`/proc/${of}/ns/net`);
  return net(pid) === net("self");
}

for (const set of chosen()) {
  const title = set.map(({ variable, value }) => `${variable}=${value}`).join(" ") || "none";
  Deno.test(`doctor beside a serve, switched: ${title}`, async () => {
    const { home, env } = await newHome();
    const dataDir = `${home}/data`;
    const off = Object.fromEntries(set.map(({ variable, value }) => [variable, value]));
    const served = await startServe({
      env: { ...off, SECLLAMA_DATA_DIR: dataDir },
      args: ["--ephemeral"],
    });
    try {
      const is = (check: string) => set.some((one) => one.check === check);
      assert.equal(await plaintextServed(served), is("encryption"));
      if (LINUX) assert.equal(sharesNetwork(served), is("the sandbox"));

      // The doctor's own settings are the defaults: it must not judge those. Nor what else serves at this machine's usual ports.
      const ports = { SECLLAMA_PORT: "0", SECLLAMA_PROXY_PORT: "0" };
      const own = { ...env, ...ports, SECLLAMA_DATA_DIR: dataDir };
      const { code, stdout, stderr } = await cli(["doctor", "--json"], { env: own });
      const { verdict, checks, serves } = JSON.parse(stdout) as {
        verdict: string;
        checks: Check[];
        serves: { at: string; judged: boolean }[];
      };
      const at = new URL(served.proxyUrl).host;
      assert.deepEqual(serves, [{ at, judged: true }], stderr);
      const settings = (result: string) =>
        checks.filter((check) => check.result === result && check.name.startsWith("serve at "))
          .map(({ name }) => name.replace(/^.*?: /, ""));
      for (const one of SWITCHES) {
        const said = settings(one.result).includes(one.check);
        assert.equal(said, set.includes(one), `${one.check}: ${JSON.stringify(checks)}`);
      }
      const fails = set.some(({ result }) => result === "fails");
      assert.equal(verdict, fails ? "fails" : "holds", JSON.stringify(checks, null, 1));
      assert.equal(code, fails ? 9 : 0);
      const failed = checks.filter(({ result }) => result === "fails").map(({ name }) => name);
      assert.ok(failed.every((name) => name.startsWith(`serve at ${at}: `)), failed.join());

      // What a person reads, here where no attacks are made: it says the same, and never that all holds.
      if (!is("the sandbox")) return;
      const text = await cli(["doctor"], { env: own });
      assert.equal(text.code, 9);
      assert.doesNotMatch(text.stdout, /all holds/);
      assert.match(text.stdout, /^not everything holds$/m);
      for (const { check, result } of set) {
        assert.match(text.stdout, new RegExp(`^${result} +serve at ${at}: ${check}: `, "m"));
      }
    } finally {
      await served.stop();
      await Deno.remove(home, { recursive: true });
    }
  });
}
