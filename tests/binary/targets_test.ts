/** The targets of a release: what can be known of each without a machine of its kind. */
import assert from "node:assert/strict";
import { checkTarget, planOf } from "../../scripts/compile_check.ts";
import { findTarget, librariesOf, TARGETS } from "../../scripts/compile_targets.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) {
  console.log("skipped: the other targets' libraries are fetched in test:full only (60 MB)");
}

Deno.test("targets: each has pinned libraries of its own system, and a sandbox plan", () => {
  assert.throws(() => findTarget("sparc-sun-solaris"), RangeError);
  const seen = new Set<string>();
  for (const target of TARGETS) {
    const set = librariesOf(target);
    assert.ok(set, target.triple);
    assert.equal(set.platform, target.platform);
    for (const name of [set.base, set.ggml, set.llama]) assert.ok(name in set.files, name);
    for (const digest of Object.values(set.files)) assert.match(digest, /^[0-9a-f]{64}$/);
    assert.ok(planOf(target).length > 0);
    seen.add(set.package);
  }
  assert.equal(seen.size, TARGETS.length, "no two have the same libraries");
});

for (const target of TARGETS) {
  Deno.test({
    name: `targets: ${target.triple}: every library is the pinned one, and none is too many`,
    // This machine's own are there anyway.
    ignore: !FULL && target.triple !== Deno.build.target,
    async fn() {
      const { problems, libraries } = await checkTarget(target);
      assert.deepEqual(problems, []);
      assert.ok(libraries > 3);
    },
  });
}
