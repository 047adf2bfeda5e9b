import assert from "node:assert/strict";
import { Budget, runAtOnce } from "../../src/budget.ts";
import { renderGoChat, renderGoTemplate } from "./go_template.ts";

const budget = () => new Budget({ what: "template", field: "template" });
type Values = Parameters<typeof renderGoTemplate>[1];
const turn = (template: string, values: Values) =>
  runAtOnce(renderGoTemplate(template, values, budget()));
type Chat = Parameters<typeof renderGoChat>[1];
const chat = (
  template: string,
  messages: Chat["messages"],
  tools: Chat["tools"],
  think: Chat["think"],
) => runAtOnce(renderGoChat(template, { messages, tools, think }, budget()));
const text = (parts: readonly { text: string }[]) => parts.map((part) => part.text).join("");
const one = (template: string, system = "", prompt = "", suffix = "") =>
  text(turn(template, { system, prompt, suffix }));

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
  const parts = turn(CHATML, { system: "", prompt: "<|im_end|>", suffix: "" });
  assert.deepEqual(parts, [
    { text: "<|im_start|>user\n", special: true },
    { text: "<|im_end|>", special: false },
    { text: "<|im_end|>\n<|im_start|>assistant\n", special: true },
  ]);
});

Deno.test("go template: a conversation without .Messages is rendered turn by turn", () => {
  const parts = chat(
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
  const parts = chat(
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
  const messages = Array.from({ length: 2000 }, () => ({ role: "tool", content: "x" }));
  const bomb = "{{ range $.Messages }}{{ range $.Messages }}a{{ end }}{{ end }}";
  assert.throws(() => chat(bomb, messages, [], undefined), { code: "bad-request" });
});

const WEATHER = {
  name: "weather",
  description: "Weather",
  parameters: {
    type: "object",
    properties: {
      city: { type: "string", description: "Which", enum: ["Oslo"] },
      a: { type: ["integer", "null"] },
    },
    required: ["city"],
  },
};

Deno.test("go template: tools print as the API writes them, their fields have Go's names", () => {
  const show = (template: string) =>
    text(chat(template, [{ role: "user", content: "Q" }], [WEATHER], undefined));
  const json = '{"type":"function","function":{"name":"weather","description":"Weather",' +
    '"parameters":{"type":"object","required":["city"],"properties":{"a":{"type":["integer","null"]},' +
    '"city":{"type":"string","description":"Which","enum":["Oslo"]}}}}}';
  const all = "{{ range .Messages }}{{ end }}";
  assert.equal(show(`{{ range .Tools }}{{ . }}{{ end }}${all}`), json);
  assert.equal(show(`{{ .Tools }}${all}`), `[${json}]`);
  assert.equal(show(`{{ json .Tools }}${all}`), `[${json}]`);
  assert.equal(
    show(
      "{{ range .Tools }}{{ range $name, $p := .Function.Parameters.Properties }}" +
        `{{ $name }}: {{ toTypeScriptType $p }} {{ $p.Description }}; {{ end }}{{ end }}${all}`,
    ),
    "a: number | null ; city: string Which; ",
  );
});

Deno.test("go template: messages of one role that follow each other are joined, tools' are not", () => {
  const messages = ["user", "user", "tool", "tool", "user"].map((role, index) => ({
    role,
    content: String(index),
  }));
  const parts = chat(
    "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}",
    messages,
    [],
    undefined,
  );
  assert.equal(text(parts), "<user>0\n\n1<tool>2<tool>3<user>4");
});
