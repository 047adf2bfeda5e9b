/** `secllama help [COMMAND…|config]`. */
import { describeSettings } from "../config/config.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { type Command, commandHelp, flag } from "./command.ts";

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
