/** The script for bash. It needs no bash-completion. */
import type { CompletionCommand, CompletionTable, Value } from "./table.ts";
import { firstWords } from "./table.ts";

export function bashCompletion(table: CompletionTable): string {
  const top = firstWords(table).map(([word]) => word);
  const known = [
    ...top.map((word) => `/${word}`),
    ...[...table.groups].flatMap(([word, inner]) => inner.map((c) => `${word}/${c.path[1]}`)),
  ];
  return `# Completion of secllama for bash; made by: secllama completion bash

# The kind of value that option $2 of command $1 takes; fails for a switch.
_secllama_value() {
    case "$1 $2" in
${table.commands.flatMap(optionCases).join("\n")}
        *) return 1 ;;
    esac
}

# What argument number $2 of command $1 is.
_secllama_argument() {
    case "$1 $2" in
${table.commands.flatMap(argumentCases).join("\n")}
    esac
}

_secllama_options() {
    case "$1" in
${
    table.commands.map((c) =>
      `        "${c.path.join(" ")}") echo "${
        c.options.flatMap((o) => [o.long, ...(o.short ? [o.short] : [])]).join(" ")
      }" ;;`
    ).join("\n")
  }
    esac
}

_secllama() {
    local IFS=$' \\t\\n' line=\${COMP_LINE:0:COMP_POINT} command="" option="" ended="" word cur kind i
    local -a words
    local count=0
    read -a words <<<"$line"
    case "$line" in *[[:space:]]) words+=("") ;; esac
    cur=\${words[\${#words[@]}-1]}
    COMPREPLY=()
    for ((i = 1; i < \${#words[@]} - 1; i++)); do
        word=\${words[i]}
        if [[ -n $option ]]; then option=""; continue; fi
        case "$ended$word" in
            --) ended=1 ;;
            --*=*) ;;
            -?*) if _secllama_value "$command" "$word" >/dev/null; then option=$word; fi ;;
            *)
                case "$command/$word" in
                    ${known.join("|")})
                        command="\${command:+$command }$word" ;;
                    *) count=$((count + 1)) ;;
                esac ;;
        esac
    done
    if [[ -z $option && -z $ended ]]; then
        case "$cur" in
            --*=*) option=\${cur%%=*}; cur=\${cur#*=} ;;
            -*)
                COMPREPLY=($(compgen -W "$(_secllama_options "$command")" -- "$cur"))
                return ;;
        esac
    fi
    if [[ -n $option ]]; then
        kind=$(_secllama_value "$command" "$option")
    else
        case "$command" in
            "") kind="choice ${top.join(" ")}" ;;
${
    [...table.groups].map(([word, inner]) =>
      `            ${word}) kind="choice ${inner.map((c) => c.path[1]).join(" ")}" ;;`
    ).join("\n")
  }
            *) kind=$(_secllama_argument "$command" "$count") ;;
        esac
    fi
    case "$kind" in
        choice*) COMPREPLY=($(compgen -W "\${kind#choice }" -- "$cur")) ;;
        model) COMPREPLY=($(compgen -W "$(secllama list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")) ;;
        file) compopt -o filenames 2>/dev/null; IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$cur")) ;;
        folder) compopt -o filenames 2>/dev/null; IFS=$'\\n'; COMPREPLY=($(compgen -d -- "$cur")) ;;
    esac
    # Where a colon breaks words, bash puts in only what follows the last one.
    case "$cur" in
        *:*) case "$COMP_WORDBREAKS" in *:*) COMPREPLY=("\${COMPREPLY[@]#"\${cur%"\${cur##*:}"}"}") ;; esac ;;
    esac
}
complete -F _secllama secllama
`;
}

function kindOf(value: Value): string {
  return value.kind === "choice" ? `choice ${value.words.join(" ")}` : value.kind;
}

function optionCases(command: CompletionCommand): string[] {
  const path = command.path.join(" ");
  return command.options.flatMap((o) => {
    if (!o.value) return [];
    const names = [o.long, ...(o.short ? [o.short] : [])].map((name) => `"${path} ${name}"`);
    return [`        ${names.join(" | ")}) echo "${kindOf(o.value)}" ;;`];
  });
}

function argumentCases(command: CompletionCommand): string[] {
  return command.arguments.flatMap((value, i) => {
    if (value.kind === "none") return [];
    const last = command.rest && i === command.arguments.length - 1;
    return [`        "${command.path.join(" ")} "${last ? "*" : i}) echo "${kindOf(value)}" ;;`];
  });
}
