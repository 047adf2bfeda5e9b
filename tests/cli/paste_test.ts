/**
 * A pairing that was pasted in several lines, at a shell on a real terminal: what the program does not read, the shell runs. The
 * control is a program that reads one line.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodeWords } from "../../src/api/pairing_words.ts";
import { encodePairing } from "../../src/client/pairing.ts";
import { newHome, secllama } from "../support/serve.ts";
import { atTerminal, type Step } from "../support/terminal.ts";

const PROMPT = "ready$ ";
/**
 * The control. It is a file, so that the shell's echo of what was typed has neither its question nor its answer: else the paste
 * would come before the question.
 */
const READS_ONE_LINE = `#!/bin/bash
read -r -p 'Pairing string: ' line
echo 'one line was read'
`;
/** What an attacker, or a mail, has in the line behind. */
const COMMAND = "touch ran-it";

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const text = encodePairing({
  url: "http://127.0.0.1:1/",
  pskId: `client.0011223344556677.${random(16).toHex()}`,
  psk: random(32),
  hid: random(16),
});
const wrapped = text.match(/.{1,50}/g)!.join("\n");

/** Types `command` at a shell, pastes `pasted` once `asked` shows, and leaves. Says whether the shell ran {@link COMMAND}. */
async function pasteAtShell(
  command: string,
  asked: string,
  pasted: string,
  told: string,
  more: readonly Step[] = [],
): Promise<{ seen: string; ran: boolean }> {
  const { home, env } = await newHome();
  try {
    const passphrase = random(24).toBase64();
    await Deno.writeTextFile(join(home, "passphrase"), passphrase, { mode: 0o600 });
    const program = secllama([]).map((word) => `'${word}'`).join(" ");
    await Deno.writeTextFile(
      join(home, "secllama"),
      `#!/bin/sh\nexec ${program} "$@"\n`,
      { mode: 0o755 },
    );
    await Deno.writeTextFile(join(home, "read-one-line"), READS_ONE_LINE, { mode: 0o755 });
    const steps: Step[] = [
      ["expect", PROMPT],
      ["send", `${command}\r`],
      ["expect", asked],
      ["send", pasted],
      ["expect", told],
      ...more,
      ["expect", PROMPT],
      ["send", "exit\r"],
    ];
    const { seen } = await atTerminal(["/bin/bash", "--norc", "--noprofile"], steps, {
      env: { ...env, PATH: `${home}:/usr/bin:/bin`, PS1: PROMPT },
      cwd: home,
    });
    const ran = await Deno.stat(join(home, "ran-it")).then(() => true, () => false);
    return { seen, ran };
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

const KEYS = "--key-file keys.json --passphrase-fd 3 3<passphrase";
const PAIR = `secllama proxy --pair - --as office ${KEYS}`;
const ASKED = "an empty line ends):";

Deno.test("paste: the control: a program that reads one line leaves the rest to the shell", async () => {
  const { ran } = await pasteAtShell(
    "read-one-line",
    "Pairing string: ",
    `${text.slice(0, 60)}\n${COMMAND}\n`,
    "one line was read",
  );
  assert.equal(ran, true);
});

Deno.test("paste: a string in several lines is read to its checksum, and nothing behind it is run", async () => {
  const { seen, ran } = await pasteAtShell(
    PAIR,
    ASKED,
    `${wrapped}\n${COMMAND}\n`,
    "paired with office",
  );
  assert.equal(ran, false, seen);
  assert.ok(!seen.includes(text.slice(20, 60)), "it is not shown");
  assert.match(seen, /stored, but not tried/);
});

Deno.test("paste: of what is refused no line is run either", async (t) => {
  const words = encodeWords({ fingerprint: random(10), secret: random(3) }).split(" ");
  const cases = {
    "a string that was changed": `${wrapped.slice(0, 80)}x${wrapped.slice(80)}\n${COMMAND}\n`,
    "half a string": `${wrapped.split("\n").slice(0, 3).join("\n")}\n\n${COMMAND}\n`,
    "something else": `https://example.org/?x=1\n${COMMAND}\n${COMMAND}\n`,
    "another pairing, in a bracketed paste": `\x1b[200~${
      wrapped.replace("pair-1", "pair-9")
    }\n${COMMAND}\n\x1b[201~`,
  };
  for (const [name, pasted] of Object.entries(cases)) {
    await t.step(name, async () => {
      const { seen, ran } = await pasteAtShell(PAIR, ASKED, pasted, "hint:");
      assert.equal(ran, false, seen);
      assert.match(seen, /error: /);
      assert.ok(!seen.includes(text.slice(20, 60)), "it is not shown");
    });
  }
  await t.step("words with a typo, asked for again, and left by Ctrl-C", async () => {
    const pasted = `${words.toSpliced(2, 1, "qqqq").join("\n")}\n${COMMAND}\n`;
    const { seen, ran } = await pasteAtShell(PAIR, ASKED, pasted, "word 3 is none", [
      ["expect", ASKED],
      ["send", "\x03"],
      ["expect", "no pairing was given"],
    ]);
    assert.equal(ran, false, seen);
  });
});
