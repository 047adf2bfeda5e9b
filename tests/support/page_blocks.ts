/** Blocks of a page of docs/, run by a shell as they are printed. */
import assert from "node:assert/strict";
import { join } from "node:path";
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

/** A shell in which `secllama` is the program under test. */
export class PageShell {
  readonly #home: string;
  readonly #env: Record<string, string>;

  private constructor(home: string, env: Record<string, string>) {
    this.#home = home;
    this.#env = env;
  }

  /** @param home Where the blocks run, and files of theirs are. @param more Arguments of every `secllama`, as a shell has them. */
  static async open(home: string, env: Record<string, string>, more = ""): Promise<PageShell> {
    const bin = join(home, "bin");
    await Deno.mkdir(bin, { recursive: true });
    const words = secllama([]).map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    const script = join(bin, "secllama");
    await Deno.writeTextFile(script, `#!/bin/sh\nexec ${words} "$@" ${more}\n`, { mode: 0o700 });
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
