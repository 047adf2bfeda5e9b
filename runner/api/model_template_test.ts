import assert from "node:assert/strict";
import { modelTemplate } from "./model_template.ts";
import { testApi } from "./testing.ts";

const info = (change: Record<string, unknown> = {}) => ({ ...testApi().engine.info, ...change });
const JINJA = { chatTemplate: "{{ tools }}", capabilities: ["completion", "tools"] };

Deno.test("model template: none, or one that says nothing, leaves the file's own", () => {
  for (const template of [undefined, "{{ .Prompt }}", " {{- .Prompt -}}\n", "{{ broken"]) {
    const chosen = modelTemplate(info(JINJA), template === undefined ? {} : { template });
    assert.equal(chosen.go, undefined);
    assert.deepEqual(chosen.capabilities, JINJA.capabilities);
  }
  // A file without a template has nothing to fall back on.
  assert.deepEqual([...modelTemplate(info(), { template: "{{ .Prompt }}" }).go!.fields], [
    "prompt",
  ]);
  assert.throws(() => modelTemplate(info(), { template: "{{ broken" }), {
    code: "bad-request",
    field: "template",
  });
});

Deno.test("model template: the one in use decides what the model can do", () => {
  const of = (template: string) => modelTemplate(info(JINJA), { template }).capabilities;
  assert.deepEqual(of("> {{ .Prompt }}"), ["completion"]);
  assert.deepEqual(of("{{ if .Tools }}{{ json $.Tools }}{{ end }}"), ["completion", "tools"]);
  assert.deepEqual(of("{{ .Prompt }}_{{ .Suffix }}"), ["completion", "insert"]);
  assert.deepEqual(
    of("{{ range .Messages }}<think>{{ .Thinking }}</think>{{ end }}"),
    ["completion", "thinking"],
  );
});

Deno.test("a Modelfile's template fills gaps, refuses tools it has no place for", async () => {
  const { post, engine } = testApi(
    { info: JINJA },
    { defaults: { template: "<{{ .Suffix }}|{{ .Prompt }}>" } },
  );
  const filled = await post("/api/generate", {
    model: "demo",
    prompt: "a",
    suffix: "b",
    stream: false,
  });
  assert.equal(filled.status, 200);
  assert.equal(engine.promptText(engine.requests.at(-1)!), "<b|a>");
  const tools = [{ type: "function", function: { name: "f", parameters: {} } }];
  const refused = await post("/api/chat", {
    model: "demo",
    messages: [{ role: "user", content: "x" }],
    tools,
  });
  assert.equal(refused.status, 400);
  assert.match((await refused.json()).error, /does not support tools/);
});
