/**
 * Administrators who work at the same time: commands drawn at random, three at a time, on one data folder. Whoever is told that it was
 * done finds it done; whatever one of them replaced was shown to them; the record has each act once.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { keysetHost } from "../support/keyset_host.ts";
import { PageShell } from "../support/page_blocks.ts";
import { SEED, seeded } from "../support/seeds.ts";
import { newHome } from "../support/serve.ts";

const COUNT = Deno.env.get("SECLLAMA_FULL") === "1" ? 240 : 6;
const AT_ONCE = 3;
const CLIENTS = 4;
const DONE = 0;
/** There is none of that name, or one already; it is in use; another is at it for too long. */
const REFUSED = [1, 2, 8, 9];

/** A command, and what came of it. */
interface Act {
  readonly words: readonly string[];
  readonly code: number;
  readonly said: string;
}

/** Commands in the order in which somebody takes them up. Each amount of a role comes once, so that it says who set it. */
function commandsOf(seed: number): string[][] {
  const random = seeded(seed);
  const one = <T>(of: readonly T[]) => of[Math.floor(random() * of.length)]!;
  return Array.from({ length: COUNT }, (_, i) => {
    const app = one(["app-1", "app-2"]);
    const role = one(["staff", "guest"]);
    const client = `laptop ${Math.floor(random() * CLIENTS)}`;
    return one([
      ["role", "set", role, `--requests-day=${i + 1}`],
      ["role", "set", role, `--requests-day=${i + 1}`],
      ["role", "remove", role],
      ["token", "create", app],
      ["token", "create", app],
      ["token", "revoke", app],
      ["clients", "set", client, one([`--role=${role}`, "--role=none", "--expires=90d"])],
      ["clients", "rename", client, `laptop ${Math.floor(random() * CLIENTS)}`],
      ["clients", "revoke", client],
      ["key", "rotate"],
      ["audit", "prune", "--before=1d"],
      ["backup", `backup-${i}`],
    ]);
  });
}

Deno.test("firm: administrators at once: nothing is lost, nothing overwritten unsaid, the record is whole", async () => {
  const { home, env: base } = await newHome();
  try {
    const { dataDir } = await keysetHost(home, CLIENTS);
    await Deno.writeTextFile(join(dataDir, "config.toml"), 'audit = "on"\n', { mode: 0o600 });
    await Deno.writeTextFile(join(home, "words"), "a cow on the moon");
    const shell = await PageShell.open(
      home,
      { ...base, SECLLAMA_DATA_DIR: dataDir, XDG_STATE_HOME: join(home, "state") },
      {
        file: join(home, "keys.json"),
        passphrase: join(home, "passphrase"),
        backup: join(home, "words"),
      },
    );
    const json = async (words: string) => JSON.parse(await shell.run(`secllama ${words} --json`));
    const commands = commandsOf(SEED);
    const acts: Act[] = [];
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let words = commands.shift(); words !== undefined; words = commands.shift()) {
        const text = words.map((word) => `'${word}'`).join(" ");
        const said = await shell.run(`secllama ${text} --json 2>&1 || echo "code=$?"`);
        acts.push({ words, said, code: Number(/^code=(\d+)$/m.exec(said)?.[1] ?? 0) });
      }
    }));
    const story = acts.map(({ words, code, said }) => `${words.join(" ")}: ${code} ${said}`)
      .join("\n");
    for (const { code } of acts) assert.ok([DONE, ...REFUSED].includes(code), story);
    const done = (...begin: string[]) =>
      acts.filter(({ words, code }) =>
        code === DONE && begin.every((word, i) => words[i] === word)
      );

    // What each was told that it replaced, and what is there in the end, is all that was ever set: nobody's was lost unsaid.
    const { roles } = await json("role list");
    for (const name of ["staff", "guest"]) {
      const sets = done("role", "set", name).map(({ said }) => JSON.parse(said));
      const last = roles.find((role: { name: string }) => role.name === name);
      const gone = sets.map(({ before }) => before?.requestsPerDay ?? null);
      const ends = [...gone.filter((amount) => amount !== null), last?.requestsPerDay ?? null];
      const set = sets.map(({ role }) => role.requestsPerDay);
      // A removal ends one without a word on its amount.
      const removed = set.filter((amount) => !ends.includes(amount));
      assert.equal(removed.length, done("role", "remove", name).length, story);
      assert.equal(new Set(ends).size, ends.length, `two replaced the same:\n${story}`);
    }
    const { tokens } = await json("token list");
    for (const name of ["app-1", "app-2"]) {
      const live = tokens.filter((token: { name: string }) => token.name === name).length;
      const made = done("token", "create", name).length - done("token", "revoke", name).length;
      assert.equal(live, made, story);
      assert.ok(live <= 1, story);
    }
    const { clients } = await json("clients list");
    assert.equal(clients.length, CLIENTS - done("clients", "revoke").length, story);
    assert.equal(new Set(clients.map(({ name }: { name: string }) => name)).size, clients.length);

    const record = (await shell.run("secllama audit list --last 0 --json")).trim().split("\n")
      .map((line) => JSON.parse(line).event as string);
    const events: [string, string[]][] = [
      ["role-set", ["role", "set"]],
      ["role-removed", ["role", "remove"]],
      ["token-created", ["token", "create"]],
      ["token-revoked", ["token", "revoke"]],
      ["client-changed", ["clients", "set"]],
      ["client-renamed", ["clients", "rename"]],
      ["client-revoked", ["clients", "revoke"]],
      ["key-rotated", ["key", "rotate"]],
      ["backup-made", ["backup"]],
    ];
    // A backup is in the record before it is made; one between whose parts another administrator's came is not made then.
    const unmade = acts.filter(({ said }) => said.includes("changed while the backup")).length;
    for (const [event, words] of events) {
      const said = record.filter((one) => one === event).length;
      const acted = done(...words).length + (event === "backup-made" ? unmade : 0);
      assert.equal(said, acted, `${event}\n${story}`);
    }
    const verdict = await json("audit verify");
    assert.deepEqual([verdict.whole, verdict.notes], [true, []], story);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
