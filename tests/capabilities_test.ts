/** Metadata (src/models) and the runner decide by themselves what a model can do: they must agree. */
import assert from "node:assert/strict";
import { modelTemplate } from "../runner/api/model_template.ts";
import { FakeEngine } from "../runner/api/fake_engine.ts";
import { capabilitiesWith } from "../src/models/capabilities.ts";

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
];

Deno.test("capabilities: metadata and runner say the same of every template", () => {
  const files = [
    { chatTemplate: "{{ tools }} <think>", capabilities: ["completion", "tools", "thinking"] },
    { chatTemplate: undefined, capabilities: ["completion"] },
    { chatTemplate: undefined, capabilities: ["completion", "insert"] },
    { chatTemplate: "x", capabilities: ["embedding"] },
  ];
  const { info } = new FakeEngine();
  for (const { chatTemplate, capabilities } of files) {
    const own = chatTemplate === undefined ? {} : { chatTemplate };
    for (const template of TEMPLATES) {
      const defaults = template === undefined ? {} : { template };
      assert.deepEqual(
        capabilitiesWith({ capabilities, ...own }, template).toSorted(),
        modelTemplate({ ...info, capabilities, ...own }, defaults).capabilities.toSorted(),
        `${template} over ${capabilities}`,
      );
    }
  }
});
