import assert from "node:assert/strict";
import { testApi } from "../testing.ts";

const info = {
  chatTemplate: "{{ tools }}<tool_call>",
  capabilities: ["completion", "tools"],
} as const;
const ask = { model: "demo", max_tokens: 99, messages: [{ role: "user", content: "List" }] };

Deno.test("anthropic: tools that its clients run have the arguments that Anthropic documents", async () => {
  const call = '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>';
  const { post, engine } = testApi({ pieces: [...call], info });
  const tools = [
    { type: "bash_20250124", name: "bash" },
    { type: "text_editor_20250728", name: "str_replace_based_edit_tool", max_characters: 9 },
    { type: "memory_20250818", name: "memory" },
  ];
  const answer = await (await post("/v1/messages", { ...ask, tools })).json();
  const [block] = answer.content;
  assert.deepEqual([block.type, block.name, block.input], ["tool_use", "bash", { command: "ls" }]);
  const shown = engine.chats[0]!.tools!.map(({ name, parameters }) => {
    const { properties, required } = parameters as Record<string, Record<string, unknown>>;
    return [name, Object.keys(properties!), required];
  });
  assert.deepEqual(shown, [
    ["bash", ["command", "restart"], undefined],
    [
      "str_replace_based_edit_tool",
      [
        "command",
        "path",
        "view_range",
        "file_text",
        "old_str",
        "new_str",
        "insert_line",
        "insert_text",
      ],
      ["command", "path"],
    ],
    [
      "memory",
      [
        "command",
        "path",
        "view_range",
        "file_text",
        "old_str",
        "new_str",
        "insert_line",
        "insert_text",
        "old_path",
        "new_path",
      ],
      ["command"],
    ],
  ]);
});

Deno.test("anthropic: a tool that only Anthropic's servers run is refused by its type", async () => {
  for (
    const type of [
      "web_search_20250305",
      "code_execution_20250825",
      "computer_20250124",
      "constructor",
    ]
  ) {
    const answer = await testApi({ info }).post("/v1/messages", {
      ...ask,
      tools: [{ type, name: "x" }],
    });
    assert.equal(answer.status, 400);
    const { error } = await answer.json();
    assert.equal(error.type, "invalid_request_error");
    assert.ok(
      error.message.startsWith(`tools[0].type "${type}" is not offered here`),
      error.message,
    );
  }
});

Deno.test("anthropic: a type that is no word of theirs is refused and not repeated", async () => {
  for (const type of ["My patient's name", "Smith-Jones", "x".repeat(65), ""]) {
    const answer = await testApi({ info }).post("/v1/messages", { ...ask, tools: [{ type }] });
    assert.equal(answer.status, 400);
    const { error } = await answer.json();
    assert.ok(
      error.message.startsWith("tools[0].type is not offered here"),
      error.message,
    );
  }
});
