/** API tokens: made, found, ended; nothing of them is kept; guesses are slowed down and locked out. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { code, withFolder } from "../keys/testing.ts";
import { Guesses } from "./guesses.ts";
import { TokenCheck, tokenClaim, Tokens } from "./tokens.ts";

Deno.test("tokens: one lets in until it is revoked or ends, and its text is in no file", () =>
  withFolder(async (folder) => {
    let now = Date.parse("2026-01-01T00:00:00Z");
    const tokens = new Tokens(folder, () => new Date(now));
    const check = new TokenCheck(folder, () => now);
    assert.equal(check.find("slt_000000000000_" + "A".repeat(43)), undefined, "there is no file");
    const { entry, text } = await tokens.create("open-webui", 1_000);
    const lasting = await tokens.create("other");
    assert.match(text, /^slt_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
    assert.equal(check.find(text)?.name, "open-webui");
    assert.equal(check.find(lasting.text)?.name, "other");
    for (let i = 0; i < text.length; i++) {
      const wrong = text.slice(0, i) + (text[i] === "a" ? "b" : "a") + text.slice(i + 1);
      assert.equal(check.find(wrong), undefined, `character ${i}`);
    }
    for (
      const wrong of ["", text + "a", text.slice(1), lasting.text.slice(0, 17) + text.slice(17)]
    ) {
      assert.equal(check.find(wrong), undefined);
    }
    const file = await Deno.readTextFile(join(folder, "tokens.json"));
    assert.equal(file.includes(text) || file.includes(text.slice(17)), false);
    if (Deno.build.os !== "windows") {
      assert.equal(Deno.statSync(join(folder, "tokens.json")).mode! & 0o777, 0o600);
    }
    now += 999;
    assert.equal(check.find(text)?.id, entry.id);
    now += 1;
    assert.equal(check.find(text), undefined, "it has ended");
    // As clients list shows it.
    await tokens.revoke(lasting.entry.id.slice(0, 8));
    assert.equal(check.find(lasting.text), undefined, "it was revoked");
    assert.equal(await code(tokens.revoke("other")), "not-found");
    assert.equal(await code(tokens.create("no name")), "usage");
    await tokens.create("other");
    assert.equal(await code(tokens.create("other")), "usage");
  }));

Deno.test("tokens: what one claims is enough to know it by, and says when it was taken back", () =>
  withFolder(async (folder) => {
    let now = Date.parse("2026-01-01T00:00:00Z");
    const tokens = new Tokens(folder, () => new Date(now));
    const check = new TokenCheck(folder, () => now);
    const { entry, text } = await tokens.create("app", 1_000);
    const other = await tokens.create("other");
    const [id, hash] = tokenClaim(text)!.split(".") as [string, string];
    assert.equal(check.byHash(id, hash)?.name, "app");
    assert.equal(check.byHash(other.entry.id, hash), undefined, "another's hash");
    assert.equal(tokenClaim(text)!.includes(text.slice(17)), false);
    assert.equal(tokenClaim(text.slice(0, -1)), "-");
    for (const foreign of ["ollama", "sk-1", "", "SLT_"]) {
      assert.equal(tokenClaim(foreign), undefined);
    }
    assert.equal(check.idIn(text.slice(0, -1) + "."), undefined);
    assert.equal(check.idIn(`slt_${entry.id}_${"A".repeat(43)}`), entry.id);
    assert.equal(check.idIn(`slt_000000000000_${"A".repeat(43)}`), undefined);
    now += 1_000;
    assert.equal(check.byHash(id, hash), undefined, "it has ended");
    assert.equal(check.wasRevoked(id), false, "what runs under it goes on");
    await tokens.revoke(id);
    assert.equal(check.wasRevoked(id), true);
    assert.equal(check.wasRevoked(other.entry.id), false);
    assert.equal(check.wasRevoked("000000000000"), true);
  }));

Deno.test("tokens: two administrators at once lose nothing of each other", () =>
  withFolder(async (folder) => {
    const names = Array.from({ length: 12 }, (_, i) => `app-${i}`);
    await Promise.all(names.map((name) => new Tokens(folder).create(name)));
    const made = (await new Tokens(folder).list()).map(({ name }) => name);
    assert.deepEqual(made.toSorted(), names.toSorted());
  }));

Deno.test("tokens: a damaged list lets nobody in, and says so to who administers", () =>
  withFolder(async (folder) => {
    const { text } = await new Tokens(folder).create("app");
    const check = new TokenCheck(folder);
    assert.ok(check.find(text));
    for (const bad of ["", "{}", "null", '{"v":1,"tokens":[{}]}', '{"v":2,"tokens":[]}']) {
      await Deno.writeTextFile(join(folder, "tokens.json"), bad);
      assert.throws(() => check.find(text), { code: "key-corrupt" }, bad);
      assert.throws(() => check.byId(text.slice(4, 16)), { code: "key-corrupt" }, bad);
      assert.equal(await code(new Tokens(folder).list()), "key-corrupt", bad);
    }
  }));

Deno.test("tokens: of ten thousand one is found as of one", () =>
  withFolder(async (folder) => {
    const { text } = await new Tokens(folder).create("mine");
    const path = join(folder, "tokens.json");
    const { tokens: [mine] } = JSON.parse(await Deno.readTextFile(path));
    const others = Array.from({ length: 10_000 }, (_, i) => ({
      ...mine,
      name: `app-${i}`,
      id: i.toString(16).padStart(12, "0"),
    }));
    await Deno.writeTextFile(path, JSON.stringify({ v: 1, tokens: [...others, mine] }));
    const check = new TokenCheck(folder);
    assert.equal(check.find(text)?.name, "mine");
    assert.equal(check.find(`slt_${others[5].id}_${text.slice(17)}`), undefined);
  }));

Deno.test("guesses: a few are free, then each waits, then none is looked at; a million change nothing", () => {
  let now = 0;
  const guesses = new Guesses(() => now);
  const delays = Array.from({ length: 20 }, () => guesses.wrong("a"));
  assert.deepEqual(delays.slice(0, 8).map(({ delayMs }) => delayMs), [
    0,
    0,
    0,
    0,
    0,
    100,
    200,
    400,
  ]);
  assert.ok(delays.every(({ delayMs }) => delayMs <= 4_000));
  assert.deepEqual(delays.flatMap(({ locks }, i) => locks ? [i + 1] : []), [20]);
  assert.equal(guesses.lockedSeconds("a"), 900);
  assert.equal(guesses.lockedSeconds("b"), 0, "others are not touched");
  now += 899_000;
  assert.equal(guesses.lockedSeconds("a"), 1);
  now += 1_000;
  assert.equal(guesses.lockedSeconds("a"), 0);
  for (let i = 0; i < 19; i++) guesses.wrong("c");
  guesses.right("c");
  assert.equal(guesses.wrong("c").delayMs, 0, "a right one was a mistake's end");
  for (let i = 0; i < 19; i++) {
    guesses.right("c");
    guesses.wrong("c");
  }
  assert.ok(guesses.lockedSeconds("c") > 0, "but not each time");
  for (let i = 0; i < 20; i++) guesses.wrong("d");
  for (let i = 0; i < 1_000_000; i++) guesses.wrong(`e${i % 5_000}`);
  assert.ok(guesses.lockedSeconds("e17") > 0);
  assert.ok(guesses.lockedSeconds("d") > 0);
});

Deno.test(`tokens: however the file is damaged while it is in use, a token is right or unknown, never wrong (seed: ${SEED})`, () =>
  withFolder(async (folder) => {
    const { text, entry } = await new Tokens(folder).create("app");
    const path = join(folder, "tokens.json");
    const good = await Deno.readFile(path);
    const check = new TokenCheck(folder);
    const random = seeded(SEED);
    const put = (bytes: Uint8Array) => Deno.writeFile(path, bytes);
    const damages: (() => Promise<void>)[] = [
      () => put(good.subarray(0, Math.floor(good.length * random()))),
      () => put(new Uint8Array(good.length)),
      () => put(Uint8Array.from([0xff, ...good])),
      () => put(utf8(utf8Decode(good).replace(/"v": ?1/, '"v":9007199254740993'))),
      () => put(utf8(utf8Decode(good).replace(`"${entry.hash}"`, "9007199254740993"))),
      () => Deno.mkdir(path),
      () => Deno.symlink(path, path),
    ];
    for (let i = 0; i < 70; i++) {
      await Deno.remove(path, { recursive: true });
      await damages[i % damages.length]!();
      for (let n = 0; n < 2; n++) {
        const { code, message, cause } = thrown(() => check.find(text));
        assert.match(code, /^key-(corrupt|io)$/, `case ${i}`);
        assert.doesNotMatch(message, /tokens\.json/, "who asks learns no file's name");
        assert.ok((cause as Error).message.includes("tokens.json"));
        assert.equal(thrown(() => check.check()).message, (cause as Error).message);
        const running = thrown(() => check.wasRevoked(entry.id));
        assert.deepEqual(
          [running.code, running.message],
          [code, message],
          "nobody calls it revoked",
        );
      }
      assert.match(await code(new Tokens(folder).list()), /^key-(corrupt|io)$/, `case ${i}`);
      await Deno.remove(path, { recursive: true });
      assert.equal(check.find(text), undefined, "removed: every token has ended");
      await put(good);
      assert.equal(check.find(text)?.name, "app");
      check.check();
    }
  }));

function thrown(run: () => unknown): SecLlamaError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}
