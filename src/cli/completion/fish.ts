/** The script for fish. */
import { type CompletionCommand, type CompletionTable, firstWords, type Value } from "./table.ts";

export function fishCompletion(table: CompletionTable): string {
  return `# Completion of secllama for fish; made by: secllama completion fish

# Whether the words before the cursor begin with the command $argv.
function __secllama_at
    set -l words
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; or set -a words $word
    end
    test (count $words) -ge (count $argv); or return 1
    test (count $argv) -eq 0; and return (count $words)
    test "$words[1..$(count $argv)]" = "$argv"
end

# Whether exactly $argv, and no argument, comes before the cursor.
function __secllama_only
    set -l words
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; or set -a words $word
    end
    test "$words" = "$argv"
end

function __secllama_models
    secllama list 2>/dev/null | awk 'NR > 1 { print $1 }'
end

complete -c secllama -f
${
    firstWords(table).map(([word, text]) =>
      `complete -c secllama -n '__secllama_only' -a ${word} -d ${quote(text)}`
    ).join("\n")
  }
${
    [...table.groups].flatMap(([word, inner]) =>
      inner.map((c) =>
        `complete -c secllama -n '__secllama_only ${word}' -a ${c.path[1]} -d ${quote(c.summary)}`
      )
    ).join("\n")
  }
${table.commands.map(commandLines).join("\n")}
`;
}

function commandLines(command: CompletionCommand): string {
  const path = command.path.join(" ");
  const at = `complete -c secllama -n '__secllama_at ${path}'`;
  const options = command.options.map((o) =>
    `${at} -l ${o.long.slice(2)}${o.short ? ` -s ${o.short.slice(1)}` : ""}${
      o.value ? ` -x${offer(o.value)}` : ""
    } -d ${quote(o.help)}`
  );
  // The first argument, and the further ones where all are of its kind.
  const [first] = command.arguments;
  const place = command.rest ? "__secllama_at" : "__secllama_only";
  const argument = first && first.kind !== "none"
    ? [`complete -c secllama -n '${place} ${path}'${offer(first)}`]
    : [];
  return [...options, ...argument].join("\n");
}

function offer(value: Value): string {
  switch (value.kind) {
    case "choice":
      return ` -a ${quote(value.words.join(" "))}`;
    case "file":
      return ` -a '(__fish_complete_path (commandline -ct))'`;
    case "folder":
      return ` -a '(__fish_complete_directories (commandline -ct))'`;
    case "model":
      return " -a '(__secllama_models)'";
    case "none":
      return "";
  }
}

/** Between single quotes fish knows only these two escapes. */
function quote(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
