/** Command lines with a mistake in them, made from the table of commands: every option and argument, with every kind of value that is none. */
import type { Command } from "../../src/cli/command.ts";

/** What people, scripts and programs give where a value is asked for. `FOLDER` is where the command is run. */
export const VALUES = [
  ...[
    "",
    " ",
    "-",
    "x y",
    "'quoted'",
    "a\nb",
    "\x1b[31mred",
    "日本語",
    "\u202eltr",
    "%s%n",
    "$HOME",
  ],
  ...[
    "-1",
    "0x10",
    "1e999",
    "NaN",
    "99999999999999999999",
    "1,5",
    "true",
    "null",
    "A".repeat(5000),
  ],
  ...[
    "../../etc/passwd",
    "/",
    "missing",
    "missing/file",
    "afolder",
    "empty",
    "binary",
    "notes.txt",
  ],
  ...["loop", "my notes.txt", "notes.txt/file", "/dev/null", "file:///etc/passwd"],
  ...[
    "http://127.0.0.1:1",
    "https://user:word@127.0.0.1:1/x",
    "tls://127.0.0.1:1",
    "unix:/missing/s",
  ],
];

/** What holds a command back from doing what it is for, where a value is taken after all. */
const HELD: { readonly [command: string]: readonly string[] } = {
  serve: ["--ephemeral", "--port=BUSY", "--no-proxy"],
  proxy: ["--ephemeral", "--gateway=http://127.0.0.1:1", "--proxy-port=BUSY"],
  ui: ["--ephemeral", "--port=BUSY", "--no-open"],
  wait: ["--timeout=1ms", "--proxy-port=1"],
  pair: ["--no-wait"],
};

/** These change the machine itself, or attack for seconds: of them only what their table refuses is tried. */
const BY_TABLE_ONLY = [
  "service install",
  "service uninstall",
  "service run",
  "uninstall",
  "doctor",
];

/** Arguments of a command that are none of ours. */
const PLAUSIBLE = ["demo", "other", "third"];

/** All of them, of one command. */
export function mistakesOf(command: Command): string[][] {
  const name = command.path.join(" ");
  const { minPositionals: least = 0, maxPositionals: most = least, options } = command;
  const enough = PLAUSIBLE.slice(0, least);
  const held = HELD[name] ?? [];
  const line = (...args: readonly string[]) => [...command.path, ...held, ...args];
  const lines = [line(...enough, "--no-such-option"), line(...enough, "-Z")];
  if (least > 0) lines.push(line(...enough.slice(1)));
  if (most < 10) lines.push(line(...Array<string>(most + 1).fill("demo")));
  for (const [option, { type }] of Object.entries(options)) {
    if (type === "boolean") lines.push(line(...enough, `--${option}=maybe`));
    else lines.push(line(...enough, `--${option}`));
  }
  if (BY_TABLE_ONLY.includes(name)) return lines;
  for (const value of VALUES) {
    for (const [option, { type }] of Object.entries(options)) {
      if (type === "string") lines.push(line(...enough, `--${option}=${value}`));
    }
    for (let at = 0; at < Math.min(Math.max(least, 1), most); at++) {
      lines.push(line("--", ...(least === 0 ? [value] : enough.with(at, value))));
    }
  }
  return lines;
}
