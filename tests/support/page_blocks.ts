/** Blocks of a page of docs/, run by a shell as they are printed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { runToEnd } from "./run_to_end.ts";
import { ROOT, secllama } from "./serve.ts";

/** The blocks of a section, each as it is printed. */
export async function blocksOf(page: string, heading: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, page));
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(section, `${page} has no section ${heading}`);
  const blocks = [...section.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block]) => block!);
  assert.ok(blocks.length > 0, `${page}, ${heading}: no block`);
  return blocks;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Shell that adds the options which a command has for its keys. */
function keyWords(o: { file: string; passphrase: string; backup: string }): string {
  const patterns = (option: string) =>
    COMMANDS.filter(({ options = {} }) => option in options)
      .map(({ path }) => path.length > 1 ? `"${path.join(" ")} "*` : `"${path[0]} "*`).join("|");
  const add = (option: string, words: string, files: string) =>
    `case "$1 \${2-} " in ${patterns(option)}) set -- "$@" ${words}; exec ${files};; esac\n`;
  return add(
    "key-file",
    `${quoted(`--key-file=${o.file}`)} --passphrase-fd=3`,
    `3<${quoted(o.passphrase)}`,
  ) + add("backup-passphrase-fd", "--backup-passphrase-fd=4", `4<${quoted(o.backup)}`);
}

/** A shell in which `secllama` is the program under test. */
export class PageShell {
  readonly #home: string;
  readonly #env: Record<string, string>;

  private constructor(home: string, env: Record<string, string>) {
    this.#home = home;
    this.#env = env;
  }

  /**
   * @param home Where the blocks run, and files of theirs are.
   * @param keys A key file, and what opens it and backups: every command that has options for them gets them.
   */
  static async open(
    home: string,
    env: Record<string, string>,
    keys?: { readonly file: string; readonly passphrase: string; readonly backup: string },
  ): Promise<PageShell> {
    const bin = join(home, "bin");
    await Deno.mkdir(bin, { recursive: true });
    const words = secllama([]).map(quoted).join(" ");
    const given = keys === undefined ? "" : keyWords(keys);
    const script = join(bin, "secllama");
    await Deno.writeTextFile(script, `#!/bin/sh\n${given}exec ${words} "$@"\n`, { mode: 0o700 });
    const path = `${bin}:${env["PATH"] ?? "/usr/bin:/bin"}`;
    return new PageShell(home, { ...env, PATH: path });
  }

  /** Runs a text as `sh -e` does. Returns what it said. @throws {AssertionError} Unless it ends as expected. */
  async run(text: string, expected = 0): Promise<string> {
    const done = await runToEnd(["/bin/sh", "-e", "-c", text], {
      env: this.#env,
      cwd: this.#home,
      timeoutSeconds: 600,
    });
    assert.equal(done.code, expected, `${text}\n${done.stdout}${done.stderr}`);
    return done.stdout + done.stderr;
  }
}
