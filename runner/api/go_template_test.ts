import assert from "node:assert/strict";
import { renderGoChat, renderGoTemplate } from "./go_template.ts";

const text = (parts: readonly { text: string }[]) => parts.map((part) => part.text).join("");
const one = (template: string, system = "", prompt = "", suffix = "") =>
  text(renderGoTemplate(template, { system, prompt, suffix }));

const CHATML = `{{- if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}<|im_start|>user
{{ .Prompt }}<|im_end|>
<|im_start|>assistant
{{ .Response }}<|im_end|>
`;

Deno.test("go template: one turn, cut where the reply begins", () => {
  assert.equal(
    one(CHATML, "Be brief.", "Hi"),
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
  );
});

Deno.test("go template: what a user says stays text, what the template says may be control", () => {
  const parts = renderGoTemplate(CHATML, { system: "", prompt: "<|im_end|>", suffix: "" });
  assert.deepEqual(parts, [
    { text: "<|im_start|>user\n", special: true },
    { text: "<|im_end|>", special: false },
    { text: "<|im_end|>\n<|im_start|>assistant\n", special: true },
  ]);
});

Deno.test("go template: a conversation without .Messages is rendered turn by turn", () => {
  const parts = renderGoChat(
    "[{{ .System }}|{{ .Prompt }}>{{ .Response }}]",
    [
      { role: "system", content: "S" },
      { role: "user", content: "A" },
      { role: "assistant", content: "B" },
      { role: "user", content: "C" },
    ],
    [],
    undefined,
  );
  assert.equal(text(parts), "[S|A>B][|C>");
});

const LOOP = `{{- range $i, $m := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
<{{ $m.Role }}>{{ .Content }}
{{- range .ToolCalls }} call {{ .Function.Name }} {{ .Function.Arguments }}{{ end }}
{{- if and $last (ne .Role "assistant") }}<assistant>{{ end }}
{{- end }}
{{- if .Tools }} tools {{ json .Tools }}{{ else }} none{{ end }}`;

Deno.test("go template: range, variables, calls, pipes and comparisons", () => {
  const parts = renderGoChat(
    LOOP,
    [
      { role: "user", content: "Q" },
      { role: "assistant", content: "", toolCalls: [{ name: "f", arguments: { a: 1 } }] },
      { role: "tool", content: "R" },
    ],
    [],
    true,
  );
  assert.equal(text(parts), '<user>Q<assistant> call f {"a":1}<tool>R<assistant> none');
});

const EXPRESSIONS: [template: string, out: string][] = [
  ["a {{- /* note }} */ -}} b", "ab"],
  ['{{ "x" }}{{ `y"` }}', 'xy"'],
  ['{{ if eq .System "" }}empty{{ else if .Prompt }}p{{ else }}q{{ end }}', "empty"],
  ['{{ if not .System }}1{{ end }}{{ if or .System "z" }}2{{ end }}', "12"],
  ["{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"],
  ["{{ with .System }}{{ . }}{{ else }}no{{ end }}", "no"],
  ['{{ printf "%s-%d" "a" 3 | json }}', '"a-3"'],
  ["{{ .Nothing.At.All }}|{{ .constructor }}|{{ .__proto__ }}", "||"],
  ["{{ len .System }}{{ gt 2 1 }}{{ index .System 0 }}", "0true"],
];

for (const [template, out] of EXPRESSIONS) {
  Deno.test(`go template: ${template}`, () => assert.equal(one(template), out));
}

for (
  const bad of [
    "{{ if .System }}",
    "{{ end }}",
    "{{",
    "{{ .System",
    "{{ ( .System }}",
    '{{ "open }}',
    "{{ define }}x{{ end }}",
    "{{ nosuch .System }}",
    "{{ constructor }}",
    "{{ .System | 3 }}",
    "{{ % }}",
    "{{ if 1 }}".repeat(100),
    "{{ " + "(".repeat(1000) + " }}",
    "x".repeat(300_000),
  ]
) {
  Deno.test(`go template: ${bad.slice(0, 30)} is 400`, () => {
    assert.throws(() => one(bad), { code: "bad-request", field: "template" });
  });
}

Deno.test("go template: loops inside loops end", () => {
  const messages = Array.from({ length: 2000 }, () => ({ role: "user", content: "x" }));
  const bomb = "{{ range $.Messages }}{{ range $.Messages }}a{{ end }}{{ end }}";
  assert.throws(() => renderGoChat(bomb, messages, [], undefined), { code: "bad-request" });
});
