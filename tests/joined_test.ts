/** Test files that `task test` runs as one module: what is said of them is what is said of each by itself. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { mayJoin } from "../scripts/test/joined.ts";
import { type Ran, runGroup } from "../scripts/test/lane.ts";

const FILES: Record<string, string> = {
  "a_test.ts": `Deno.test("a", async (t) => {
  await t.step("of a", () => {});
  console.log("looks like one ... ok (1ms)\\nno end of line");
});
Deno.test({ name: "not here", ignore: true, fn() {} });
Deno.test.ignore("nor this", () => {});`,
  "none_test.ts": "export {};",
  "b_test.ts": `import assert from "node:assert/strict";
for (const name of ["b", "b again"]) Deno.test(name, () => {});

Deno.test("wrong", () => {
  assert.equal(1, 2);
});`,
  "c_test.ts":
    `Deno.test("c", async (t) => { await t.step("of c", () => { throw new Error("no"); }); });`,
};

async function inFolder(
  files: Record<string, string>,
  use: (run: (joined: boolean) => Promise<Ran>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-joined-" });
  try {
    const paths: string[] = [];
    for (const [name, text] of Object.entries(files)) {
      paths.push(join(folder, name));
      await Deno.writeTextFile(join(folder, name), text);
    }
    await use((joined) =>
      runGroup({ files: paths, seconds: 1, row: undefined }, {
        deno: Deno.execPath(),
        args: ["-A", "--no-check"],
        env: { NO_COLOR: "1" },
        times: join(folder, "times"),
        ...(joined && { joined: { files: paths, module: join(folder, "all") } }),
      })
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Which tests ended how, by the heading that they stand under. */
function read(text: string): string[] {
  let heading = "";
  const found: string[] = [];
  for (const line of text.split("\n")) {
    const [, count, path] = /^running (\d+) tests? from \S*?(\w+\.ts)$/.exec(line) ?? [];
    if (path !== undefined) heading = `${path} (${count})`;
    const [, name, how] = /^(\S.*) \.\.\. (ok|FAILED|ignored)\b/.exec(line) ?? [];
    if (name !== undefined) found.push(`${heading}: ${name} ${how}`);
  }
  return found;
}

Deno.test("joined: each test has its file above it, and what failed its line, as when each file is run by itself", async () => {
  await inFolder(FILES, async (run) => {
    const [one, other] = [await run(true), await run(false)];
    assert.equal((one.text.match(/^running /gm) ?? []).length, 3);
    assert.deepEqual(read(one.text), read(other.text).filter((line) => !line.startsWith("none")));
    assert.ok(read(one.text).includes("b_test.ts (3): wrong FAILED"));
    for (const key of ["passed", "failed", "ignored"] as const) {
      assert.equal(one[key], other[key], key);
    }
    assert.deepEqual([one.passed, one.failed, one.ignored], [3, 2, 2]);
    assert.deepEqual(one.failures, other.failures);
    assert.match(one.failures[0]!, /^wrong => \S*b_test\.ts:4:6$/);
    assert.match(one.text, /at \S*b_test\.ts:5:10/);
    assert.deepEqual(Object.keys(one.seconds).length, 3);
    assert.match(one.text, /^no end of line$/m);
  });
});

Deno.test("joined: a file that cannot be loaded fails with its name", async () => {
  for (
    const [text, reason] of [
      [`throw new Error("at its top");`, /at its top[^]*d_test\.ts/],
      ["what is this(", /d_test\.ts:1/],
    ] as const
  ) {
    await inFolder({ "a_test.ts": FILES["a_test.ts"]!, "d_test.ts": text }, async (run) => {
      const ran = await run(true);
      assert.equal(ran.failed, 1);
      assert.match(ran.text, reason);
      assert.match(ran.failures.join(), /d_test\.ts/);
    });
  }
});

Deno.test("joined: what changes what others would find has an isolate of its own", () => {
  for (
    const text of [
      `Deno.env.set("A", "1");`,
      "Deno.chdir(folder);",
      "/** In an isolate of its own: it counts what is made once. */",
      "Deno.test.beforeEach(() => {});",
      "globalThis.fetch = () => {};",
      "  globalThis.fetch = () => {};",
    ]
  ) assert.equal(mayJoin(text), false, text);
  assert.ok(mayJoin("Deno.test('a', () => {});"));
});

Deno.test("joined: a module whose files cannot be told apart has no seconds of its own", async () => {
  const several = 'const { test } = Deno;\nfor (const name of ["x", "y"]) test(name, () => {});';
  await inFolder(
    { "d_test.ts": several, "e_test.ts": 'Deno.test("e", () => {});' },
    async (run) => {
      const { passed, seconds, text } = await run(true);
      assert.match(text, /^running 3 tests from \S*all\.ts$/m);
      assert.equal(passed, 3);
      assert.deepEqual(seconds, {});
    },
  );
});
