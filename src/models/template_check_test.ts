import assert from "node:assert/strict";
import { checkTemplate } from "./template_check.ts";

Deno.test("template: what Ollama's models bring is well-formed", () => {
  for (
    const text of [
      "",
      "{{ .Prompt }}",
      "no action } } { {",
      "{{- if .System }}<|system|>{{ .System }}{{ else }}x{{- end }}{{ .Response }}",
      '{{- range $i, $_ := .Messages }}{{ if eq .Role "user" }}a{{ else if .Tools }}b{{ end }}{{ end }}',
      '{{ printf "}} %s" .Prompt }}{{ `{{ raw }}` }}',
      "{{/* a comment with }} and {{ end }} */}}x",
      "{{- /* c */ -}}",
      '{{ define "t" }}{{ . }}{{ end }}{{ template "t" .Prompt }}{{ block "b" . }}{{ end }}',
      "{{ with .Tools }}{{ json . }}{{ end }}{{ break }}",
      '{"name": {{ .Name }}}',
    ]
  ) checkTemplate(text);
});

Deno.test("template: what is not is named with its line", () => {
  const rows: [string, RegExp][] = [
    ["{{ .Prompt", /^the template's line 1: an action \{\{ is never closed$/],
    ["a\n{{ .Prompt }", /^the template's line 2: an action/],
    ['{{ printf "x }}', /never closed/],
    ["{{/* x }}", /never closed/],
    ["\n\n{{ if .A }}x", /^the template's line 3: a block has no/],
    ["{{ end }}", /ends nothing/],
    ["{{ if .A }}{{ end }}{{- end -}}", /ends nothing/],
    ["{{ else }}", /belongs to nothing/],
    ["{{ }}", /empty/],
  ];
  for (const [text, message] of rows) {
    assert.throws(() => checkTemplate(text), { code: "bad-modelfile", message }, text);
  }
});

Deno.test("template: a long one takes the time that its length explains", () => {
  const started = performance.now();
  checkTemplate("{{ .A }}\n".repeat(300_000));
  assert.throws(() => checkTemplate("{{ if .A }}".repeat(200_000)), /no \{\{ end/);
  assert.ok(performance.now() - started < 10_000);
});
