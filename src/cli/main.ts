/** Finds the command that argv names, parses the rest by its table, runs it and turns errors into exit codes. */
import { EXIT, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { type Command, commandHelp, parseCommandArgs, usageHint } from "./command.ts";
import { settleEnvironment } from "../app/environment.ts";
import { closest } from "../suggest.ts";
import { toldOf } from "./given.ts";
import { refusePasted } from "./pasted.ts";
import { isTaken, SAME_SIGNAL_MS } from "./signals.ts";
import { removeTempFolders } from "../temp_folder.ts";
import { makeTui } from "./tui.ts";

/**
 * Commands that must be there at once: only the modules that they need are loaded. Everything else comes with the whole
 * table of commands.ts, of which these are rows too.
 */
const QUICK: { readonly [word: string]: () => Promise<Command> } = {
  version: async () => (await import("./version.ts")).versionCommand,
  serve: async () => (await import("./serve.ts")).serveCommand,
  proxy: async () => (await import("./proxy.ts")).proxyCommand,
  run: async () => (await import("./run.ts")).runCommand,
};

/** Other words for a command: what Ollama calls it, and what every program takes. */
const ALIASES: { readonly [word: string]: string } = {
  "--help": "help",
  "-h": "help",
  "--version": "version",
  "-v": "version",
  ls: "list",
  start: "serve",
};

/** Commands of Ollama's that there are none of here → what to do instead. */
const NOT_HERE: { readonly [word: string]: string } = {
  chat: "to talk to a model: secllama run MODEL",
  download: "to fetch a model: secllama pull MODEL",
  config: "settings are in config.toml and the environment: secllama help config",
  push: "SecLlama sends no model anywhere",
  models: "to see the models that are here: secllama list",
  search:
    "name the model that you want, with its registry: secllama pull MODEL (secllama help models)",
  update: "another version: secllama help upgrade",
  upgrade: "another version: secllama help upgrade",
  signin: "to sign in to a gateway of your organisation: secllama login ADDRESS",
  signout: "to forget a gateway that you signed in to: secllama proxy --unpair NAME",
};

/** Runs one command line. Returns the exit code; never throws. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const noColor = (Deno.env.get("NO_COLOR") ?? "") !== "";
  const dumb = Deno.env.get("TERM") === "dumb";
  const stop = new AbortController();
  const { signal } = stop;
  let printing = false;
  const readerGone = () => printing ? endNow(EXIT.ok) : undefined;
  let tui = makeTui({ noColor, dumb, signal, readerGone });
  const onSignal = endAtSecond(stop);
  try {
    const env = await settleEnvironment();
    refusePasted(argv);
    const [command, rest] = await findCommand(argv);
    const parsed = parseCommandArgs(command, rest);
    if (parsed.values["help"] === true) {
      tui.out(commandHelp(command));
      return EXIT.ok;
    }
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => isTaken(signal) ? undefined : onSignal());
    }
    const given = (text: string) => toldOf(command.path[0]!, text, parsed.values);
    const quiet = parsed.values["quiet"] === true;
    tui = makeTui({ noColor, dumb, signal, given, readerGone, quiet });
    printing = command.endsWithItsReader === true;
    const { profile } = parsed.values;
    // A script's variable that was not set: not the profile that it means.
    if (profile === "") {
      throw new SecLlamaError("usage", "--profile has no name", {
        field: "--profile",
        hint: "for instance: --profile work; to use the default one, leave it out",
      });
    }
    const ownEnv = typeof profile === "string" ? { ...env, SECLLAMA_PROFILE: profile } : env;
    try {
      return await command.run({ tui, env: ownEnv, signal, ...parsed });
    } catch (error) {
      // What was under way ends in many ways: a stream breaks, a connection is reset.
      if (signal.aborted && !(error instanceof SecLlamaError)) {
        throw new SecLlamaError("cancelled", "cancelled", { cause: error });
      }
      throw withUsage(command, error);
    }
  } catch (error) {
    tui.error(error);
    await tui.dropTyped();
    return toSecLlamaError(error).exitCode;
  }
}

/**
 * What a signal does: it stops the command, which puts in order what it has. Another one ends the process, since the command may
 * wait for what has no end: a pipe that nobody writes to.
 */
function endAtSecond(stop: AbortController): () => void {
  let first: number | undefined;
  return () => {
    const now = performance.now();
    first ??= now;
    if (now - first < SAME_SIGNAL_MS) return stop.abort();
    endNow(new SecLlamaError("cancelled", "cancelled").exitCode);
  };
}

/** Ends the process in the middle of what it does. */
function endNow(exitCode: number): never {
  if (Deno.stdin.isTerminal()) Deno.stdin.setRaw(false);
  removeTempFolders();
  Deno.exit(exitCode);
}

/** An error of usage that says nothing of how it is done gets the command's example, or where its options are. */
function withUsage(command: Command, error: unknown): unknown {
  if (!(error instanceof SecLlamaError) || error.code !== "usage" || error.hint !== undefined) {
    return error;
  }
  const { message, field } = error;
  return new SecLlamaError("usage", message, {
    ...(field === undefined ? {} : { field }),
    hint: usageHint(command),
    cause: error,
  });
}

function groupHint([first, second]: readonly string[], group: readonly string[]): string {
  const meant = second === undefined ? undefined : closest(`${first} ${second}`, group);
  return meant === undefined
    ? `for their options, run: secllama ${first} --help`
    : `did you mean: secllama ${meant}`;
}

/** The command whose words are the longest beginning of `argv`, and what follows them. */
export async function findCommand(argv: readonly string[]): Promise<[Command, readonly string[]]> {
  const args = argv.length === 0
    ? ["help"]
    : Object.hasOwn(ALIASES, argv[0]!)
    ? [ALIASES[argv[0]!]!, ...argv.slice(1)]
    : argv;
  const quick = Object.hasOwn(QUICK, args[0]!) ? QUICK[args[0]!] : undefined;
  if (quick) return [await quick(), args.slice(1)];
  const { COMMANDS } = await import("./commands.ts");
  const found = COMMANDS
    .filter((c) => c.path.every((word, i) => args[i] === word))
    .sort((a, b) => b.path.length - a.path.length)[0];
  if (found) return [found, args.slice(found.path.length)];
  const group = COMMANDS.map((c) => c.path.join(" ")).filter((w) => w.startsWith(`${args[0]} `));
  if (group.length > 0) {
    const wantsHelp = args[1] === "--help" || args[1] === "-h";
    if (wantsHelp) return [COMMANDS.find((c) => c.path.join(" ") === "help")!, [args[0]!]];
    throw new SecLlamaError(
      "usage",
      `secllama ${args[0]} needs one of: ${group.map((w) => w.split(" ")[1]).join(", ")}`,
      { hint: groupHint(args, group) },
    );
  }
  const { TOPICS } = await import("./topics.ts");
  const instead = Object.hasOwn(NOT_HERE, args[0]!)
    ? NOT_HERE[args[0]!]
    : Object.hasOwn(TOPICS, args[0]!)
    ? `there is a page of that name: secllama help ${args[0]}`
    : undefined;
  const words = COMMANDS.filter((c) => !c.hidden).map((c) => c.path[0]!);
  const pages = Object.keys(TOPICS);
  const meant = closest(args[0]!, [...words, ...Object.keys(ALIASES), ...pages]);
  throw new SecLlamaError(
    "usage",
    `unknown command ${JSON.stringify(String(args[0]).slice(0, 40))}`,
    {
      hint: instead ??
        (meant === undefined
          ? "for all commands, run: secllama help"
          : `did you mean: secllama ${
            words.includes(meant) ? "" : pages.includes(meant) ? "help " : ""
          }${meant}`),
    },
  );
}
