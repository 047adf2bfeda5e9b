/** The script for zsh: a `#compdef` file for a folder of `fpath`. */
import {
  type CompletionCommand,
  type CompletionOption,
  type CompletionTable,
  firstWords,
  type Value,
} from "./table.ts";

export function zshCompletion(table: CompletionTable): string {
  const plain = table.commands.filter((c) => c.path.length === 1);
  return `#compdef secllama
# Completion of secllama for zsh; made by: secllama completion zsh

_secllama_models() {
    local -a models
    models=(\${\${(f)"$(secllama list 2>/dev/null)"}[2,-1]%% *})
    compadd -a models
}

${[...table.groups].map(([word, inner]) => group(word, inner)).join("\n")}
_secllama() {
    local curcontext=$curcontext state line
    local -a words_of_secllama
    _arguments -C ${quote("(-h --help)-h[show this help]")} ${
    quote("(-h --help)--help[show this help]")
  } '1: :->command' '*:: :->rest'
    case $state in
        command)
            words_of_secllama=(
${firstWords(table).map(([word, text]) => `                ${described(word, text)}`).join("\n")}
            )
            _describe -t commands command words_of_secllama ;;
        rest)
            case $line[1] in
${plain.map((c) => `                ${c.path[0]}) ${argumentsCall(c)} ;;`).join("\n")}
${[...table.groups.keys()].map((w) => `                ${w}) _secllama_${w} ;;`).join("\n")}
            esac ;;
    esac
}

if [ "$funcstack[1]" = _secllama ]; then _secllama "$@"; else compdef _secllama secllama; fi
`;
}

function group(word: string, inner: readonly CompletionCommand[]): string {
  return `_secllama_${word}() {
    local curcontext=$curcontext state line
    local -a words_of_group
    _arguments -C '1: :->command' '*:: :->rest'
    case $state in
        command)
            words_of_group=(
${inner.map((c) => `                ${described(c.path[1]!, c.summary)}`).join("\n")}
            )
            _describe -t commands command words_of_group ;;
        rest)
            case $line[1] in
${inner.map((c) => `                ${c.path[1]}) ${argumentsCall(c)} ;;`).join("\n")}
            esac ;;
    esac
}
`;
}

function argumentsCall(command: CompletionCommand): string {
  const last = command.arguments.length - 1;
  const specs = [
    ...command.options.flatMap(optionSpecs),
    ...command.arguments.map((value, i) => {
      const place = command.rest && i === last ? "*" : `${i + 1}`;
      return quote(`${place}:${plainText(value.label)}:${action(value)}`);
    }),
  ];
  return `_arguments ${specs.join(" ")}`;
}

function optionSpecs(option: CompletionOption): string[] {
  const names = [option.long, ...(option.short ? [option.short] : [])];
  const excluded = option.multiple ? "*" : names.length > 1 ? `(${names.join(" ")})` : "";
  return names.map((name) => {
    const takes = option.value && (name.startsWith("--") ? "=" : "+");
    const value = option.value ? `:${plainText(option.value.label)}:${action(option.value)}` : "";
    return quote(`${excluded}${name}${takes ?? ""}[${plainText(option.help)}]${value}`);
  });
}

function action(value: Value): string {
  switch (value.kind) {
    case "choice":
      return `(${value.words.join(" ")})`;
    case "file":
      return "_files";
    case "folder":
      return "_files -/";
    case "model":
      return "_secllama_models";
    case "none":
      return " ";
  }
}

function described(word: string, text: string): string {
  return quote(`${word}:${text.replace(/[:\\]/g, "\\$&")}`);
}

/** Text inside the brackets of a specification. */
function plainText(text: string): string {
  return text.replace(/[[\]:\\]/g, "\\$&");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
