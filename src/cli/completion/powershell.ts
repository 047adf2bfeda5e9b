/** The script for PowerShell: an argument completer over a table. */
import { type CompletionTable, firstWords, type Value } from "./table.ts";

export function powershellCompletion(table: CompletionTable): string {
  const rows = [
    `    '' = @{ Words = ${
      words(firstWords(table))
    }; Options = @(); Values = @{}; Arguments = @() }`,
    ...[...table.groups].map(([word, inner]) =>
      `    '${word}' = @{ Words = ${
        words(inner.map((c) => [c.path[1]!, c.summary]))
      }; Options = @(); Values = @{}; Arguments = @() }`
    ),
    ...table.commands.map((c) => {
      const options = c.options.flatMap((o): [string, string][] => [
        [o.long, o.help],
        ...(o.short ? [[o.short, o.help] as [string, string]] : []),
      ]);
      const values = c.options.flatMap((o) =>
        o.value
          ? [o.long, ...(o.short ? [o.short] : [])].map((name) => `'${name}' = ${kind(o.value!)}`)
          : []
      );
      return `    '${c.path.join(" ")}' = @{ Words = @(); Options = ${
        words(options)
      }; Values = @{ ${values.join("; ")} }; Arguments = @(${c.arguments.map(kind).join(", ")}) }`;
    }),
  ];
  return `# Completion of secllama for PowerShell; made by: secllama completion powershell

Register-ArgumentCompleter -Native -CommandName secllama -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  # A value's kind is a list of words, 'file', 'model' or ''.
  $table = @{
${rows.join("\n")}
  }
  $command = ''
  $option = $null
  $count = 0
  $before = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
    Select-Object -Skip 1 | ForEach-Object { $_.Extent.Text })
  foreach ($word in $before) {
    if ($option) { $option = $null; continue }
    if ($word -like '--*=*') { continue }
    if ($word -like '-*') {
      if ($table[$command].Values.ContainsKey($word)) { $option = $word }
      continue
    }
    $longer = "$command $word".Trim()
    if ($count -eq 0 -and $table.ContainsKey($longer)) { $command = $longer } else { $count++ }
  }
  $row = $table[$command]
  $prefix = ''
  $typed = $wordToComplete
  if (-not $option -and $wordToComplete -match '^(--[^=]+)=(.*)$') {
    $option = $Matches[1]
    $typed = $Matches[2]
    $prefix = "$option="
  }
  $pairs = @()
  if (-not $option -and $wordToComplete -like '-*') { $pairs = $row.Options }
  else {
    if ($option) { $kind = $row.Values[$option] }
    elseif ($row.Words.Count) { $kind = $null; $pairs = $row.Words }
    elseif ($count -lt $row.Arguments.Count) { $kind = $row.Arguments[$count] }
    else { $kind = $null }
    if ($kind -is [array]) { $pairs = @($kind | ForEach-Object { , @($_, $_) }) }
    elseif ($kind -eq 'model') {
      $pairs = @(secllama list 2>$null | Select-Object -Skip 1 |
        ForEach-Object { $name = ($_ -split ' ')[0]; , @($name, $name) })
    } elseif ($kind -eq 'file') { return }
  }
  $pairs | Where-Object { $_[0] -like "$typed*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($prefix + $_[0], $_[0], 'ParameterValue', $_[1])
  }
}
`;
}

function words(pairs: readonly (readonly [string, string])[]): string {
  return `@(${pairs.map(([word, text]) => `, @(${quote(word)}, ${quote(text)})`).join("; ")})`;
}

function kind(value: Value): string {
  if (value.kind === "choice") return `@(${value.words.map(quote).join(", ")})`;
  return quote(value.kind === "folder" ? "file" : value.kind === "none" ? "" : value.kind);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
