/** `tools` is said of a template only where the calls that it writes are read back as the calls that they are. */
import assert from "node:assert/strict";
import { abilities } from "../../src/api/template/abilities.ts";
import { parseTemplate } from "../../src/api/template/chat.ts";

const FOLDER = new URL("./corpus/", import.meta.url);
/** What of a template shows the tools, around the way of writing calls. */
const around = (calls: string) =>
  `{{ if .Tools }}{{ .Tools }}{{ end }}{{ range .Messages }}<|{{ .Role }}|>` +
  `{{ if .Content }}{{ .Content }}{{ else if .ToolCalls }}${calls}{{ end }}<|end|>{{ end }}<|assistant|>`;
const each = (one: string, open = "", close = "") =>
  around(`${open}{{ range .ToolCalls }}${one}{{ end }}${close}`);

const READ: readonly string[] = [
  each(
    '<tool_call>{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}</tool_call>',
  ),
  each('{"name": "{{ .Function.Name }}", "parameters": {{ .Function.Arguments }}}'),
  each("<tool_call>{{ json .Function }}</tool_call>"),
  each("<function={{ .Function.Name }}>{{ .Function.Arguments }}</function>"),
  each("{{ .Function.Name }}[ARGS]{{ .Function.Arguments }}", "[TOOL_CALLS]"),
];
const NOT_READ: readonly string[] = [
  each('<do>{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}</do>'),
  each('{"tool": "{{ .Function.Name }}", "with": {{ .Function.Arguments }}}'),
  each("<tool_call>{{ .Function.Name }} with {{ .Function.Arguments }}</tool_call>"),
  each("{{ .Function.Name }}({{ .Function.Arguments }})"),
];

Deno.test("go templates: every one of the corpus that shows tools has its calls read back", () => {
  const shown: string[] = [];
  for (const { name } of Deno.readDirSync(FOLDER)) {
    const template = parseTemplate(Deno.readTextFileSync(new URL(name, FOLDER)));
    if (!template.fields.has("tools")) continue;
    shown.push(name);
    assert.ok(abilities(template).includes("tools"), name);
  }
  assert.ok(shown.length > 8);
});

Deno.test("go templates: tools are said of what is read back, and of nothing else", () => {
  for (const text of READ) assert.deepEqual(abilities(parseTemplate(text)), ["tools"], text);
  for (const text of NOT_READ) assert.deepEqual(abilities(parseTemplate(text)), [], text);
});
