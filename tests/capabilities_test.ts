/** Metadata (src/models) and the runner both say what a model can do: they must agree, and it must be so. */
import assert from "node:assert/strict";
import { modelTemplate } from "../runner/api/model_template.ts";
import { FakeEngine } from "../runner/api/fake_engine.ts";
import { modelCapabilities } from "../src/models/capabilities.ts";

const TEMPLATES = [
  undefined,
  "{{ .Prompt }}",
  "{{- .Prompt -}}",
  "> {{ .Prompt }}",
  "{{ if .Tools }}{{ json $.Tools }}{{ end }}",
  "{{ .Prompt }}_{{ .Suffix }}",
  "{{ range .Messages }}<think>{{ .Thinking }}</think>{{ end }}",
  "{{ range .Messages }}({{ .Thinking }}){{ end }}",
  "{{ if and\n .Suffix (not $.Tools) }}a{{ end }} .Thinking </think>",
  "Tools, .Tools and a .Suffix {{ .System }}",
  "{{ .Tools }}{{ range .Messages }}{{ range .ToolCalls }}<tool_call>{{ end }}{{ end }}",
  "{{ .Tools }}{{ range .Messages }}{{ if .ToolCalls }}Action: {{ end }}{{ end }}",
  "{{ if .Suffix }}",
];

Deno.test("capabilities: tools are said only where calls are read back", () => {
  const says = (calls: string) =>
    modelCapabilities(
      { capabilities: ["completion"] },
      `{{ .Tools }}{{ range .Messages }}{{ .Content }}{{ if .ToolCalls }}${calls}{{ end }}{{ end }}`,
    ).includes("tools");
  const rows: [calls: string, isRead: boolean][] = [
    ["", true],
    ['{{ range .ToolCalls }}{"name": "{{ .Function.Name }}"}{{ end }}', true],
    ["\n[{{ range .ToolCalls }}{{ json .Function }}{{ end }}]", true],
    ["{{ json .ToolCalls }}", true],
    ["<tool_call>\n{{ range .ToolCalls }}{{ . }}{{ end }}</tool_call>", true],
    ["{{ range .ToolCalls }}\n<tool_call>{{ end }}", true],
    ["[TOOL_CALLS] [{{ range .ToolCalls }}{{ . }}{{ end }}]", true],
    ["<|tool_call|>[", true],
    ['<|python_tag|>{"name": ', true],
    ["Action: \`\`\`json\n[", true],
    ["<｜tool▁calls▁begin｜>", true],
    ["Action: look", false],
    ["[calls]", false],
    ["to=functions.{{ range .ToolCalls }}{{ .Function.Name }}{{ end }}", false],
  ];
  for (const [calls, isRead] of rows) assert.equal(says(calls), isRead, calls);
});

Deno.test("capabilities: metadata and runner say the same of every template", () => {
  const files = [
    { chatTemplate: "{{ tools }} <think>", capabilities: ["completion", "tools", "thinking"] },
    // A file without one has nothing to fall back on: what cannot be read is refused before.
    { chatTemplate: undefined, capabilities: ["completion"] },
    { chatTemplate: undefined, capabilities: ["completion", "insert"] },
    { chatTemplate: "x", capabilities: ["embedding"] },
  ];
  const { info } = new FakeEngine();
  for (const { chatTemplate, capabilities } of files) {
    const own = chatTemplate === undefined ? {} : { chatTemplate };
    for (const template of TEMPLATES) {
      if (chatTemplate === undefined && template === "{{ if .Suffix }}") continue;
      const defaults = template === undefined ? {} : { template };
      assert.deepEqual(
        modelCapabilities({ capabilities, ...own }, template).toSorted(),
        modelTemplate({ ...info, capabilities, ...own }, defaults).capabilities.toSorted(),
        `${template} over ${capabilities}`,
      );
    }
  }
});
