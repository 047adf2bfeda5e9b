/** `secllama completion SHELL`: the script that completes secllama's commands, options and values in a shell. */
import { EXIT, SecLlamaError } from "../../errors.ts";
import type { Command } from "../command.ts";
import { bashCompletion } from "./bash.ts";
import { fishCompletion } from "./fish.ts";
import { powershellCompletion } from "./powershell.ts";
import { type CompletionTable, completionTable } from "./table.ts";
import { zshCompletion } from "./zsh.ts";

const SHELLS: { readonly [shell: string]: (table: CompletionTable) => string } = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
  powershell: powershellCompletion,
};

/** `secllama completion SHELL`. */
export const completionCommand: Command = {
  path: ["completion"],
  summary: "Print a shell's completion script",
  arguments: Object.keys(SHELLS).join("|"),
  minPositionals: 1,
  maxPositionals: 1,
  options: {},
  details:
    `bash:        secllama completion bash > ~/.local/share/bash-completion/completions/secllama
zsh:         secllama completion zsh > FOLDER/_secllama, where FOLDER is one of your fpath
fish:        secllama completion fish > ~/.config/fish/completions/secllama.fish
PowerShell:  secllama completion powershell >> $PROFILE`,
  async run({ tui, positionals }) {
    const [shell] = positionals;
    if (!Object.hasOwn(SHELLS, shell!)) {
      throw new SecLlamaError("usage", "there is no completion for this shell", {
        hint: `one of: ${Object.keys(SHELLS).join(", ")}`,
      });
    }
    const { COMMANDS } = await import("../commands.ts"); // the table holds this command too
    tui.out(SHELLS[shell!]!(completionTable(COMMANDS)).trimEnd());
    return EXIT.ok;
  },
};
