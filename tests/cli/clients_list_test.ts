/** `secllama clients list` where the file of counts is damaged: who may come is listed all the same. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { EXIT } from "../../src/errors.ts";
import { Tokens } from "../../src/firm/tokens.ts";
import { cli, newHome } from "../support/serve.ts";

Deno.test("clients list: while what was counted cannot be read all are listed, and what is left is said to be unknown", async () => {
  const { home, env: base } = await newHome();
  const data = join(home, "data");
  await Deno.mkdir(data, { mode: 0o700 });
  const env = {
    ...base,
    SECLLAMA_KEY: `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`,
    SECLLAMA_DATA_DIR: data,
  };
  try {
    const set = await cli(["role", "set", "staff", "--requests-day", "20"], { env });
    assert.equal(set.code, 0, set.stderr);
    const tokens = new Tokens(data);
    await tokens.create("limited", undefined, "staff");
    await tokens.create("free");
    await Deno.writeTextFile(join(data, "usage.db"), "no database at all, ".repeat(500));
    const said = await cli(["clients", "list"], { env });
    assert.equal(said.code, EXIT.unavailable, said.stderr);
    assert.match(said.stdout, /^limited .* role staff .*what is left is not known$/m);
    assert.match(said.stdout, /^free /m);
    assert.doesNotMatch(said.stdout, /^free .*not known/m, "it has no limits");
    assert.match(said.stderr, /warning: what is left of limits is not known: \S*usage\.db/);
    const json = await cli(["clients", "list", "--json"], { env });
    assert.equal(json.code, EXIT.unavailable, json.stderr);
    const { apps, limits_problem } = JSON.parse(json.stdout);
    assert.equal(limits_problem, "limits-failed");
    assert.deepEqual(
      apps.map(({ name, limits }: { name: string; limits: unknown }) => [name, limits]),
      [["limited", null], ["free", []]],
    );
    const revoked = await cli(["clients", "revoke", apps[1].id.slice(0, 8)], { env });
    assert.equal(revoked.code, EXIT.internal, revoked.stderr);
    assert.match(revoked.stderr, /free is a program's token.*\nhint: .*secllama token revoke free/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
