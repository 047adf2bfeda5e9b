/** `secllama help [COMMAND…|config]`. */
import { join } from "node:path";
import { describeSettings } from "../config/config.ts";
import { dataDirectory } from "../config/paths.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { type Command, type CommandContext, commandHelp, flag } from "./command.ts";

export const helpCommand: Command = {
  path: ["help"],
  summary: "Show the commands, one command's options, or the settings (help config)",
  arguments: "[COMMAND | config]",
  maxPositionals: 2,
  options: { man: { type: "boolean", help: "print the man page, for man(1)" } },
  details: "secllama help --man > ~/.local/share/man/man1/secllama.1 installs the man page.",
  async run(context) {
    const { tui, positionals } = context;
    const { COMMANDS } = await import("./commands.ts"); // the table holds this command too
    if (flag(context, "man")) {
      if (positionals.length > 0) {
        throw new SecLlamaError("usage", "secllama help --man takes no argument", {
          hint: "the page is of all commands",
        });
      }
      const { manualPage } = await import("./manual.ts");
      tui.out(manualPage(COMMANDS).trimEnd());
      return EXIT.ok;
    }
    const words = positionals.join(" ");
    if (words === "config") {
      tui.out("Settings: environment variable, key in config.toml, flag, meaning");
      for (const line of describeSettings()) tui.out(`  ${line}`);
      tui.out(`
A flag goes before the environment, the environment before ${configPath(context.env)}.
SECLLAMA_CONFIG names another file, SECLLAMA_DATA_DIR another data folder, SECLLAMA_PROFILE one of several keysets; SECLLAMA_KEY
holds a key (docs/keys.md). A name or value that is not known is an error.`);
      return EXIT.ok;
    }
    const exact = COMMANDS.find((c) => c.path.join(" ") === words);
    if (exact) {
      tui.out(commandHelp(exact));
      return EXIT.ok;
    }
    const shown = COMMANDS.filter((c) => !c.hidden && (words === "" || c.path[0] === words));
    if (shown.length === 0) {
      throw new SecLlamaError("usage", "there is no such command", {
        hint: "for all commands, run: secllama help",
      });
    }
    tui.out("Talk to language models on your own machine, and know that nobody else can listen.\n");
    tui.out("Usage: secllama COMMAND [OPTIONS]\n");
    const width = Math.max(...shown.map((c) => c.path.join(" ").length)) + 2;
    for (const c of shown) tui.out(`  ${tui.bold(c.path.join(" ").padEnd(width))}${c.summary}`);
    tui.out(
      "\nFor one command's options: secllama COMMAND --help. For all settings: secllama help config",
    );
    return EXIT.ok;
  },
};

/** Where the settings' file would be; without a home there is none. */
function configPath(env: CommandContext["env"]): string {
  try {
    return join(dataDirectory(env), "config.toml");
  } catch {
    return "config.toml in the data folder";
  }
}
