/**
 * A fake of macOS's /usr/bin/security for tests on other systems: not the real program, but its traps as they were measured.
 * `security -i` splits a line at 4,095 bytes, drops an unterminated one, and exits 0 both times; a bare trailing `-w` of
 * add-generic-password waits for /dev/tty; exit codes 44, 45, 36, 51, 128, 50.
 */
import { utf8, utf8Decode } from "../../bytes.ts";
import type { ProgramOptions, ProgramResult } from "./program.ts";

export class FakeSecurity {
  readonly items = new Map<string, string>();
  /** Every argv and environment the program was started with: a secret must be in none. */
  readonly seen: string[] = [];
  state: "unlocked" | "locked" | "no-keychain" | "refuses" | "cancels" = "unlocked";
  installed = true;

  readonly run = async (
    path: string,
    args: readonly string[],
    options: ProgramOptions,
  ): Promise<ProgramResult> => {
    if (!this.installed) throw new Deno.errors.NotFound(path);
    this.seen.push(JSON.stringify([path, args, options.env]));
    if (args[0] === "-i") return this.#interactive(options.stdin ?? new Uint8Array(0));
    if (args[0] === "add-generic-password" && args.at(-1) === "-w") {
      await new Promise((resolve) => setTimeout(resolve, options.timeoutMs)); // getpass() on /dev/tty
      return this.#result(124, "", true);
    }
    return this.#command([...args]);
  };

  #interactive(stdin: Uint8Array): ProgramResult {
    const text = utf8Decode(stdin);
    const lines = text.split("\n");
    lines.pop(); // unterminated, or empty after the last line end: dropped without a word
    for (const line of lines) {
      for (let at = 0; at < line.length; at += 4_095) {
        this.#command(line.slice(at, at + 4_095).split(" "));
      }
    }
    // The real one's exit code is the last command's only when it was found; do not count on it.
    return this.#result(
      this.state === "locked"
        ? 36
        : this.state === "refuses"
        ? 51
        : this.state === "cancels"
        ? 128
        : 0,
    );
  }

  #command(args: string[]): ProgramResult {
    const option = (name: string) => {
      const at = args.indexOf(name);
      return at < 0 ? undefined : args[at + 1];
    };
    if (this.state === "no-keychain") return this.#result(50);
    if (args[0] === "show-keychain-info") return this.#result(this.state === "locked" ? 36 : 0);
    if (args[0] === "dump-keychain") {
      return this.#result(
        0,
        [...this.items.keys()].map((key) => {
          const [service, account] = key.split("\0");
          return `keychain: "/Users/x/Library/Keychains/login.keychain-db"\nclass: "genp"\nattributes:\n` +
            `    "acct"<blob>="${account}"\n    "svce"<blob>="${service}"\n`;
        }).join(""),
      );
    }
    const key = `${option("-s")}\0${option("-a")}`;
    if (this.state === "locked") return this.#result(36);
    if (this.state === "refuses") return this.#result(51);
    if (this.state === "cancels") return this.#result(128);
    switch (args[0]) {
      case "find-generic-password": {
        const value = this.items.get(key);
        return value === undefined ? this.#result(44) : this.#result(0, value + "\n");
      }
      case "delete-generic-password":
        return this.#result(this.items.delete(key) ? 0 : 44);
      case "add-generic-password":
        if (this.items.has(key) && !args.includes("-U")) return this.#result(45);
        this.items.set(key, option("-w")!);
        return this.#result(0);
      default:
        return this.#result(2);
    }
  }

  #result(code: number, text = "", timedOut = false): ProgramResult {
    return { code, timedOut, stdout: utf8(text), stderr: "" };
  }
}
