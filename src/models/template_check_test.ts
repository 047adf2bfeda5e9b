import assert from "node:assert/strict";
import { checkChatTemplate, checkTemplate } from "./template_check.ts";

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
      "{{ with .Tools }}{{ json . }}{{ end }}{{ range .Messages }}{{ break }}{{ end }}",
      '{"name": {{ .Name }}}',
    ]
  ) checkTemplate(text);
});

Deno.test("template: what is not is named with its line", () => {
  const rows: [string, RegExp][] = [
    ["{{ .Prompt", /^the template's line 1: an action \{\{ is never closed$/],
    ["a\n{{ .Prompt }", /^the template's line 2: /],
    ['{{ printf "x }}', /never closed/],
    ["{{/* x }}", /never closed/],
    ["\n\n{{ if .A }}x", /^the template's line 3: a block has no/],
    ["{{ end }}", /belongs to nothing/],
    ["{{ if .A }}{{ end }}{{- end -}}", /belongs to nothing/],
    ["{{ else }}", /belongs to nothing/],
    ["{{ }}", /a value is missing/],
    ['{{ contains .Prompt "x" }}', /the function "contains" is not known/],
    ["{{ $x }}", /the variable \$x is not declared/],
    ["{{ if .A }}".repeat(20_000), /nest over 100 deep/],
    ["x".repeat(300_000), /longer than/],
  ];
  for (const [text, message] of rows) {
    assert.throws(() => checkTemplate(text), { code: "bad-modelfile", message }, text);
  }
});

Deno.test("template: what cannot make a prompt is refused, what can make one is not", () => {
  const rows: [string, RegExp][] = [
    [
      '\n{{ template "none" . }}',
      /^the template's line 2: it cannot make a prompt: uses a template/,
    ],
    ["{{ .Prompt.Name }}", /asks for the field Name/],
    ["{{ index .Messages 9 }}", /out of range/],
    ["{{ range true }}{{ end }}", /ranges over/],
    ['{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}', /calls itself too deeply/],
    ["{{ range 10000000 }}{{ end }}", /takes too many steps/],
  ];
  for (const [text, message] of rows) {
    assert.throws(() => checkTemplate(text), { code: "bad-modelfile", message }, text);
  }
  // With a system message it works.
  checkTemplate("{{ (index .Messages 1).Content }}");
  checkTemplate("{{ slice .System 0 2 }}");
});

Deno.test("template: a file's own that cannot be read is refused, unless another is given", () => {
  const broken = { chatTemplate: "{% for m in messages %}{{ m.content }}" };
  for (const template of [undefined, "", "{{ .Prompt }}"]) {
    assert.throws(() => checkChatTemplate(broken, template), {
      code: "bad-model",
      message: /^the file's chat template cannot be read: .*line 1/,
    });
  }
  checkChatTemplate(broken, "<{{ .Prompt }}>");
  checkChatTemplate({}, undefined);
  checkChatTemplate({ chatTemplate: "{% for m in messages %}{{ m.content }}{% endfor %}" }, "");
});

Deno.test("template: a file's own that refuses every conversation is refused, one that refuses some is not", () => {
  const rows: [template: string, message: RegExp][] = [
    ["{{ raise_exception('no') }}", /^the file's chat template cannot make a prompt: no$/],
    ["{{ nothing.at.all }}", /cannot make a prompt: /],
    ["{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}", /too m/],
  ];
  for (const [chatTemplate, message] of rows) {
    assert.throws(() => checkChatTemplate({ chatTemplate }, undefined), {
      code: "bad-model",
      message,
    });
  }
  checkChatTemplate({
    chatTemplate: "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}x",
  }, undefined);
});
