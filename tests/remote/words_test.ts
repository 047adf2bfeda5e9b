/** Pairing by words between two machines: the real commands, gateway and network, with a recorder on the cable. */
import assert from "node:assert/strict";
import { encodeWords, parseWords } from "../../src/api/pairing_words.ts";
import { toBase64Url } from "../../src/bytes.ts";
import { tellWait } from "../support/journey.ts";
import { findIn } from "../support/memory.ts";
import { ROOT } from "../support/serve.ts";
import { type Done, HOST_ADDRESS, Lab, labIgnored } from "./lab.ts";

const GATEWAY = `https://${HOST_ADDRESS}:11435`;
const WORDS = /^([a-z]+ ){9}[a-z]+$/m;

function ok(done: Done): Done {
  assert.equal(done.code, 0, `${done.out}\n${done.err}`);
  return done;
}

Deno.test({
  name: "words: pair, wait, mistype, guess and use, between two machines; the wire shows no word",
  ignore: labIgnored(),
  fn: async (t) => {
    await using lab = await Lab.make();
    const offer = (name: string, ...more: string[]) =>
      lab.start("host", lab.secllama("host", ["pair", name, "--words", "--url", GATEWAY, ...more]));
    const take = (stdin: string, ...more: string[]) =>
      lab.run("laptop", lab.secllama("laptop", ["proxy", "--pair", GATEWAY, ...more]), { stdin });
    const serve = () => lab.secllama("host", ["serve", "--host", HOST_ADDRESS, "--no-proxy"]);

    const refused = await lab.run("host", serve());
    assert.equal(refused.code, 9, refused.err);
    const first = offer("laptop");
    const [words] = await first.saw(WORDS);
    // The offer is reason enough to listen: somebody is to come.
    const gateway = lab.start("host", serve());
    await gateway.saw(/isolation strict/);
    const recorder = lab.start("host", [
      "/usr/bin/python3",
      `${ROOT}tests/remote/record.py`,
      "cable",
      `${lab.folder}/wire`,
    ]);
    await recorder.saw(/recording/);

    await t.step("a mistyped word is told before anything is sent", async () => {
      const list = words.split(" ");
      const bad = await take(list.toSpliced(3, 1, `${list[3]!.slice(0, 3)}xq`).join(" "));
      assert.equal(bad.code, 2, bad.err);
      assert.match(bad.err, /word 4 is none of a pairing's; nothing was sent/);
      const few = await take(list.slice(1).join(" "));
      assert.equal(few.code, 2);
      assert.match(few.err, /ten words, and here are 9/);
      const inArgv = await lab.run(
        "laptop",
        lab.secllama("laptop", ["proxy", "--pair", list.join("-")]),
      );
      assert.equal(inArgv.code, 2, inArgv.err);
      // One word alone may be an English one of the error's: "word", "type", "key".
      for (const [at, word] of list.entries()) {
        if (at > 0) assert.doesNotMatch(inArgv.err, new RegExp(`${list[at - 1]}\\W+${word}`));
      }
    });

    await t.step(
      "the words as mail mangles them pair the laptop, and the host says so",
      async () => {
        const mailed = words.split(" ").map((word) => word.slice(0, 4).toUpperCase()).join(
          ",\r\n> ",
        );
        const began = performance.now();
        const done = ok(await take(mailed, "--as", "office"));
        assert.match(done.out, /paired with office/);
        assert.match(done.err, /It answers, and has 1 model\./);
        const answer = ok(
          await lab.run("laptop", lab.secllama("laptop", ["run", "demo"]), {
            stdin: "What is network isolation?",
          }),
        );
        assert.ok(answer.out.length > 20);
        tellWait("a laptop that is given ten words", performance.now() - began);
        await first.saw(/^paired laptop$/m);
        const again = await take(words);
        assert.equal(again.code, 9, again.err);
        assert.match(again.err, /no open pairing with these words[^]*hint: .*secllama pair NAME/);
      },
    );

    await t.step("two pairings at once, each is its own client; Ctrl-C ends one", async () => {
      const [a, b, c] = [offer("a"), offer("b"), offer("c")];
      const shown = await Promise.all([a, b, c].map((one) => one.saw(WORDS)));
      const [wordsA, wordsB, wordsC] = shown.map((match) => match[0]);
      ok(await take(wordsB!, "--as", "b"));
      await b.saw(/^paired b$/m);
      await c.stop();
      assert.match(c.err(), /the words are void; nobody was paired/);
      assert.equal((await take(wordsC!)).code, 9);
      // Both addresses in one paste, with no address given.
      const pasted = await lab.run("laptop", lab.secllama("laptop", ["proxy", "--pair", "-"]), {
        stdin: `${GATEWAY} ${wordsA}\n`,
      });
      ok(pasted);
      const { clients } = JSON.parse(
        ok(await lab.run("host", lab.secllama("host", ["clients", "list", "--json"]))).out,
      );
      assert.deepEqual(clients.map((one: { name: string }) => one.name), ["laptop", "b", "a"]);
    });

    await t.step("three wrong tries end an offer, and its owner is told", async () => {
      const guessed = offer("victim");
      const [right] = await guessed.saw(WORDS);
      const { fingerprint, secret } = parseWords(right);
      for (let n = 1; n <= 3; n++) {
        const guess = encodeWords({ fingerprint, secret: secret.map((byte) => byte ^ n) });
        assert.equal((await take(guess)).code, 9);
      }
      await guessed.ended();
      assert.match(guessed.err(), /3 wrong tries were made, so the words are void/);
      assert.equal((await take(right)).code, 9);
    });

    await recorder.stop();
    const wire = await Deno.readFile(`${lab.folder}/wire`);
    assert.ok(wire.length > 20_000, `${wire.length} bytes`);
    const { secret } = parseWords(words);
    for (const text of [`"secret":"${toBase64Url(secret)}"`, "/sealed/v1/pair", words]) {
      assert.deepEqual(findIn(wire, text), []);
    }
  },
});
