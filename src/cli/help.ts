/** `secllama help [COMMAND…|TOPIC|config]`. */
import { join } from "node:path";
import { describeSettings } from "../config/config.ts";
import { dataDirectory } from "../config/paths.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { closest } from "../suggest.ts";
import { type Topic, TOPICS } from "./topics.ts";
import type { Tui } from "./tui.ts";
import { type Command, type CommandContext, commandHelp, flag } from "./command.ts";

/** Lines of a page get hard to read beyond. */
const MOST_COLUMNS = 100;

export const helpCommand: Command = {
  path: ["help"],
  summary:
    "Show the commands, one command's options, a topic's page, or the settings (help config)",
  arguments: "[COMMAND | TOPIC | config]",
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
holds a key (secllama help keys). A name or value that is not known is an error.`);
      return EXIT.ok;
    }
    const topic = Object.hasOwn(TOPICS, words) ? TOPICS[words] : undefined;
    if (topic !== undefined) {
      for (const line of await topicLines(topic, tui)) tui.out(line);
      return EXIT.ok;
    }
    const exact = COMMANDS.find((c) => c.path.join(" ") === words);
    if (exact) {
      tui.out(commandHelp(exact));
      return EXIT.ok;
    }
    const shown = COMMANDS.filter((c) => !c.hidden && (words === "" || c.path[0] === words));
    if (shown.length === 0) {
      const known = [
        ...COMMANDS.map(({ path }) => path.join(" ")),
        ...Object.keys(TOPICS),
        "config",
      ];
      const meant = closest(words, known);
      throw new SecLlamaError(
        "usage",
        `there is no help on ${JSON.stringify(words.slice(0, 40))}`,
        {
          hint: meant === undefined
            ? "for all commands and topics, run: secllama help"
            : `did you mean: secllama help ${meant}`,
        },
      );
    }
    tui.out("Talk to language models on your own machine, and know that nobody else can listen.\n");
    tui.out("Usage: secllama COMMAND [OPTIONS]\n");
    const width = Math.max(...shown.map((c) => c.path.join(" ").length)) + 2;
    for (const c of shown) tui.out(`  ${tui.bold(c.path.join(" ").padEnd(width))}${c.summary}`);
    if (words === "") {
      tui.out(`\nTopics, for secllama help TOPIC:\n`);
      for (const [name, { summary }] of Object.entries(TOPICS)) {
        tui.out(`  ${tui.bold(name.padEnd(width))}${summary}`);
      }
    }
    tui.out(
      "\nFor one command's options: secllama COMMAND --help. For all settings: secllama help config",
    );
    return EXIT.ok;
  },
};

/** A page as this terminal shows it. */
async function topicLines({ page, read }: Topic, tui: Tui): Promise<string[]> {
  const command = (target: string) => {
    const name = Object.keys(TOPICS).find((key) => TOPICS[key]!.page === target);
    return target === page || name === undefined ? undefined : `secllama help ${name}`;
  };
  const { renderMarkdown } = await import("./markdown.ts");
  const columns = Math.min(tui.columns(), MOST_COLUMNS);
  return renderMarkdown((await read()).default, { width: columns, bold: tui.bold, command });
}

/** Where the settings' file would be; without a home there is none. */
function configPath(env: CommandContext["env"]): string {
  try {
    return join(dataDirectory(env), "config.toml");
  } catch {
    return "config.toml in the data folder";
  }
}
