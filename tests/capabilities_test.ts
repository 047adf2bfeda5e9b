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
  const whole = "{{ range .ToolCalls }}{{ json .Function }}{{ end }}";
  const rows: [calls: string, isRead: boolean][] = [
    [`<tool_call>\n${whole}\n</tool_call>`, true],
    [`[TOOL_CALLS] [${whole}]`, true],
    [
      '<tool_call>\n{"name": "{{ (index .ToolCalls 0).Function.Name }}", "arguments": {{ json (index .ToolCalls 0).Function.Arguments }}}\n</tool_call>',
      true,
    ],
    // None writes a call that could be read: no name, no arguments, or in nobody's way of writing.
    ["", false],
    ['{{ range .ToolCalls }}{"name": "{{ .Function.Name }}"}{{ end }}', false],
    ["{{ json .ToolCalls }}", false],
    ["{{ range .ToolCalls }}\n<tool_call>{{ end }}", false],
    ['<|python_tag|>{"name": ', false],
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
