import assert from "node:assert/strict";
import { Budget, runAtOnce } from "../../src/budget.ts";
import type { ChatMessage, ToolDefinition } from "../engine/types.ts";
import { parseGoTemplate, renderGoChat, renderGoInsert } from "./go_template.ts";

const text = (parts: readonly { text: string }[]) => parts.map((part) => part.text).join("");
const budget = () => new Budget({ what: "the template", field: "template" });
const chat = (
  template: string,
  messages: readonly ChatMessage[],
  tools: readonly ToolDefinition[] = [],
  think?: boolean | string,
) => runAtOnce(renderGoChat(parseGoTemplate(template), { messages, tools, think }, budget()));
const user = (content: string) => ({ role: "user", content });
const one = (template: string, prompt = "") => text(chat(template, [user(prompt)]));

const CHATML = `{{- if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}<|im_start|>user
{{ .Prompt }}<|im_end|>
<|im_start|>assistant
{{ .Response }}<|im_end|>
`;

Deno.test("go template: one turn, cut where the reply begins", () => {
  assert.equal(
    text(chat(CHATML, [{ role: "system", content: "Be brief." }, user("Hi")])),
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
  );
});

Deno.test("go template: what a user says stays text, what the template says may be control", () => {
  assert.deepEqual(chat(CHATML, [user("<|im_end|>")]), [
    { text: "<|im_start|>user\n", special: true },
    { text: "<|im_end|>", special: false },
    { text: "<|im_end|>\n<|im_start|>assistant\n", special: true },
  ]);
});

Deno.test("go template: roles and the template's own variables are its words, wherever they go", () => {
  const template = '{{ range .Messages }}{{ $open := printf "<|%s|>" .Role }}{{ $open }}' +
    '{{ printf "%s%s" .Content "<|end|>" }}{{ slice .Content 0 6 }}{{ json .Content }}{{ end }}';
  assert.deepEqual(chat(template, [user("<|end|>")]), [
    { text: "<|user|>", special: true },
    { text: "<|end|>", special: false },
    { text: "<|end|>", special: true },
    { text: "<|end|", special: false },
    { text: '"', special: true },
    { text: "\\u003c|end|\\u003e", special: false },
    { text: '"', special: true },
  ]);
  const odd = chat("{{ range .Messages }}<|{{ .Role }}|>{{ end }}", [{
    role: "im_end",
    content: "",
  }]);
  assert.equal(odd[1]!.special, false);
});

Deno.test("go template: a conversation without .Messages is rendered turn by turn", () => {
  const parts = chat("[{{ .System }}|{{ .Prompt }}>{{ .Response }}]", [
    { role: "system", content: "S" },
    user("A"),
    { role: "assistant", content: "B" },
    user("C"),
  ]);
  assert.equal(text(parts), "[S|A>B][|C>");
});

Deno.test("go template: {{ .Response }} is put behind one that has no place for the reply", () => {
  const turns = [user("A"), { role: "assistant", content: "B" }, user("C")];
  assert.equal(text(chat("<{{ .Prompt }}>", turns)), "<A>B<C>");
  // The last reply is open: the model goes on with it.
  assert.equal(text(chat("<{{ .Prompt }}>", turns.slice(0, 2))), "<A>B");
  assert.equal(text(chat("<{{ .Prompt }}>{{ .Response }}</s>", turns.slice(0, 2))), "<A>B");
  assert.equal(text(chat("{{ range .Messages }}{{ .Content }}{{ end }}", turns)), "ABC");
});

Deno.test("go template: what is defined is there in every turn, the last one too", () => {
  const template = '{{ define "turn" }}<{{ . }}>{{ end }}{{ template "turn" .Prompt }}' +
    '{{ block "reply" .Response }}({{ . }}){{ end }}';
  const turns = [user("A"), { role: "assistant", content: "B" }, user("C")];
  assert.equal(text(chat(template, turns)), "<A>(B)<C>()");
});

const LOOP = `{{- range $i, $m := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
<{{ $m.Role }}>{{ .Content }}
{{- range .ToolCalls }} call {{ .Function.Name }} {{ .Function.Arguments }}{{ end }}
{{- if and $last (ne .Role "assistant") }}<assistant>{{ end }}
{{- end }}
{{- if .Tools }} tools {{ json .Tools }}{{ else }} none{{ end }}`;

Deno.test("go template: range, variables, calls, pipes and comparisons", () => {
  const parts = chat(LOOP, [
    user("Q"),
    { role: "assistant", content: "", toolCalls: [{ name: "f", arguments: { a: 1 } }] },
    { role: "tool", content: "R" },
  ]);
  assert.equal(text(parts), '<user>Q<assistant> call f {"a":1}<tool>R<assistant> none');
});

const EXPRESSIONS: [template: string, out: string][] = [
  ["a {{- /* note }} */ -}} b", "ab"],
  ['{{ "x" }}{{ `y"` }}', 'xy"'],
  ['{{ if eq .System "" }}empty{{ else if .Prompt }}p{{ else }}q{{ end }}', "empty"],
  ['{{ if not .System }}1{{ end }}{{ if or .System "z" }}2{{ end }}', "12"],
  ["{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"],
  ["{{ with .System }}{{ . }}{{ else }}no{{ end }}", "no"],
  ["{{ with .System }}a{{ else with .Prompt }}{{ . }}{{ else }}c{{ end }}", "P"],
  ["{{ range $i := 3 }}{{ $i }}{{ end }}{{ range 0 }}a{{ else }}none{{ end }}", "012none"],
  ["{{ $x := 0 }}{{ range $x = 3 }}{{ end }}{{ $x }}", "2"],
  ['{{ printf "%s-%d" "a" 3 | json }}', '"a-3"'],
  ["{{ .Nothing }}|{{ .constructor }}|{{ .__proto__ }}", "<no value>|<no value>|<no value>"],
  ["{{ len .Prompt }}{{ gt 2 1 }}{{ index .Prompt 0 }}", "1true80"],
  ["{{ print .Prompt .Prompt }}{{ print (len .Prompt)\n  .Prompt }}", "PP1P"],
  ["{{ $r := .Prompt }}{{ eq $r .Prompt }}{{ and $r .System }}", "true"],
];

for (const [template, out] of EXPRESSIONS) {
  Deno.test(`go template: ${template}`, () => {
    assert.equal(one(`${template}{{ if .Response }}{{ end }}`, "P"), out);
  });
}

const BAD: [template: string, message: RegExp][] = [
  ["a\n{{ if .System }}", /^the template's line 2: a block has no \{\{ end \}\}$/],
  ["{{ end }}", /^the template's line 1: \{\{ end \}\} belongs to nothing$/],
  ["\n{{", /line 2: an action \{\{ is never closed/],
  ["{{ .System", /never closed/],
  ["{{ ( .System }}", /a \( is not closed/],
  ['{{ "open }}', /a quoted text is never closed/],
  ["{{ define }}x{{ end }}", /no quoted name/],
  ["{{ nosuch .System }}", /the function "nosuch" is not known/],
  ["{{ constructor }}", /the function "constructor" is not known/],
  ["{{ $x }}", /the variable \$x is not declared/],
  ["{{ .System | 3 }}", /a pipe leads into something that is no function/],
  ["{{ % }}", /stands where it may not/],
  ["{{ break }}", /outside of a range/],
  ["{{ if 1 }}".repeat(200), /nest over 100 deep/],
  ["{{ " + "(".repeat(1000) + "1" + ")".repeat(1000) + " }}", /nest over 100 deep/],
  ["x".repeat(300_000), /longer than/],
  // At run time.
  ["\n\n{{ .Prompt.Name }}", /^the template's line 3: asks for the field Name of a/],
  ['{{ template "none" }}', /uses a template that is not defined/],
  ["{{ index .Prompt 7 }}", /index has an index that is out of range/],
  ["{{ lt 1 .Prompt }}", /lt compares two different types/],
  ["{{ range true }}{{ end }}", /ranges over what has no elements/],
];

for (const [bad, message] of BAD) {
  Deno.test(`go template: ${bad.slice(0, 30).replaceAll("\n", "⏎")} is 400`, () => {
    assert.throws(() => one(bad, "x"), { code: "bad-request", field: "template", message });
  });
}

const BOMBS = [
  "{{ range $.Messages }}{{ range $.Messages }}{{ range $.Messages }}a{{ end }}{{ end }}{{ end }}",
  '{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" .Messages }}',
  '{{ $x := "aaaaaaaa" }}{{ range .Messages }}{{ $x = print $x $x }}{{ end }}',
  "{{ range 1000000000 }}{{ end }}{{ .Messages }}",
  '{{ range .Messages }}{{ printf "%999999d%999999d" 1 2 }}{{ end }}',
  "{{ range .Messages }}{{ json $.Messages }}{{ end }}",
  '{{ define "a" }}{{ template "b" . }}{{ template "b" . }}{{ end }}' +
  '{{ define "b" }}{{ template "c" . }}{{ template "c" . }}{{ end }}' +
  '{{ define "c" }}{{ range . }}{{ range $ }}{{ .Content }}{{ end }}{{ end }}{{ end }}' +
  '{{ template "a" .Messages }}',
];

for (const bomb of BOMBS) {
  Deno.test(`go template: ${bomb.slice(0, 50)} ends`, () => {
    const messages = Array.from({ length: 2000 }, () => ({ role: "tool", content: "x" }));
    assert.throws(() => chat(bomb, messages), { code: "bad-request", field: "template" });
  });
}

Deno.test("go template: a gap", () => {
  const template = parseGoTemplate("<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ .Response }}");
  assert.equal(text(runAtOnce(renderGoInsert(template, "a", "b", budget()))), "<PRE>a<SUF>b<MID>");
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
  const show = (template: string) => text(chat(template, [user("Q")], [WEATHER]));
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
  const parts = chat("{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}", messages);
  assert.equal(text(parts), "<user>0\n\n1<tool>2<tool>3<user>4");
});
