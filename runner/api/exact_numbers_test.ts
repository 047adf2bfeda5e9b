/** Ids of 64 bits in the arguments of calls: each family's way of writing them, each dialect, both ways, whole and streamed. */
import assert from "node:assert/strict";
import { TOOLS } from "../../src/replies/testing_calls.ts";
import { WRITERS } from "../../src/replies/testing_writers.ts";
import { exactText } from "../../src/exact_json.ts";
import { testApi } from "./testing.ts";

const ID = "9007199254740993";
const NEGATIVE = "-9223372036854775808";
const ARGUMENTS = `{"a":${ID},"b":[${NEGATIVE}]}`;
const MESSAGES = [{ role: "user", content: "Add" }];
const functions = TOOLS.map((tool) => ({ ...tool, parameters: tool.parameters ?? {} }));
/** Numbers that a double holds, in whose places the others are put. */
const [SHORT, OTHER] = [1234567, 7654321];
const asWritten = (text: string) =>
  text.replaceAll(`${SHORT}`, ID).replaceAll(`${OTHER}`, NEGATIVE);

const tools = {
  ollama: functions.map((fn) => ({ type: "function", function: fn })),
  responses: functions.map((fn) => ({ type: "function", ...fn })),
  anthropic: functions.map(({ name, parameters }) => ({ name, input_schema: parameters })),
};

/** What text of an answer has the digits, as its dialect writes them. */
const DIALECTS = [
  { path: "/api/chat", body: { messages: MESSAGES, tools: tools.ollama }, inText: false },
  { path: "/v1/chat/completions", body: { messages: MESSAGES, tools: tools.ollama }, inText: true },
  { path: "/v1/responses", body: { input: "Add", tools: tools.responses }, inText: true },
  {
    path: "/v1/messages",
    body: { messages: MESSAGES, max_tokens: 4000, tools: tools.anthropic },
    inText: false,
  },
] as const;

for (const { family, write, template, promptTail } of WRITERS) {
  Deno.test(`ids beyond 2^53 keep their digits: ${family}`, async () => {
    const text = write([{ name: "add", arguments: { a: SHORT, b: [OTHER] } }]);
    for (const { path, body, inText } of DIALECTS) {
      for (const stream of [false, true]) {
        const { post } = testApi({
          pieces: [...asWritten(text)],
          info: {
            chatTemplate: `{{ tools }}${template ?? ""}`,
            capabilities: ["completion", "tools"],
          },
          ...(promptTail === undefined ? {} : { promptTail }),
        });
        const answer = await (await post(path, { model: "demo", stream, ...body })).text();
        const pieces = stream && path === "/v1/messages"
          ? [...answer.matchAll(/"partial_json":("(?:[^"\\]|\\.)*")/g)].map(([, one]) =>
            JSON.parse(one!)
          )
          : stream && path === "/v1/chat/completions"
          ? [...answer.matchAll(/"arguments":("(?:[^"\\]|\\.)*")/g)].map(([, one]) =>
            JSON.parse(one!)
          )
          : [answer];
        const wanted = stream && pieces.length > 1 || !inText
          ? ARGUMENTS
          : JSON.stringify(ARGUMENTS).slice(1, -1);
        const said = pieces.join("").replaceAll(/([,:[{]) /g, "$1");
        assert.ok(
          said.includes(wanted) || said.includes(ARGUMENTS),
          `${path}, stream ${stream}: ${answer.slice(-900)}`,
        );
      }
    }
  });
}

Deno.test("ids beyond 2^53 in a history are given to the template with their digits", async () => {
  const call = (args: string) =>
    `{"role":"assistant","content":"","tool_calls":[{"id":"c1",` +
    `"type":"function","function":{"name":"add","arguments":${args}}}]}`;
  const user = '{"role":"user","content":"Add"}';
  const result = '{"role":"tool","tool_call_id":"c1","content":"3"}';
  const chat = (args: string) => `{"model":"demo","messages":[${user},${call(args)},${result}]}`;
  const inText = JSON.stringify(ARGUMENTS);
  const bodies: Readonly<Record<string, string>> = {
    "/api/chat": chat(ARGUMENTS),
    "/v1/chat/completions": chat(inText),
    "/v1/responses": `{"model":"demo","input":[${user},{"type":"function_call","call_id":"c1",` +
      `"name":"add","arguments":${inText}},{"type":"function_call_output","call_id":"c1",` +
      `"output":"3"}]}`,
    "/v1/messages": `{"model":"demo","max_tokens":9,"messages":[${user},{"role":"assistant",` +
      `"content":[{"type":"tool_use","id":"c1","name":"add","input":${ARGUMENTS}}]},` +
      `{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"3"}]}]}`,
  };
  for (const [path, body] of Object.entries(bodies)) {
    const { post, engine } = testApi({ pieces: ["ok"] });
    const answer = await post(path, body);
    assert.equal(answer.status, 200, await answer.clone().text());
    const given = engine.chats.at(-1)!.messages.flatMap(({ toolCalls = [] }) => toolCalls);
    assert.deepEqual(given.map((one) => exactText(one.arguments)), [ARGUMENTS], path);
  }
});

Deno.test("a Go template prints their digits too", async () => {
  const template = "{{ range .Messages }}{{ .Content }}{{ range .ToolCalls }}" +
    "{{ .Function.Arguments }} {{ .Function.Arguments.a }}{{ end }}{{ end }}";
  const { post } = testApi({ pieces: ["ok"] }, { defaults: { template } });
  const body =
    `{"model":"demo","messages":[{"role":"user","content":"Add"},{"role":"assistant","tool_calls":` +
    `[{"id":"c1","type":"function","function":{"name":"add","arguments":${
      JSON.stringify(ARGUMENTS)
    }}}]}]}`;
  const answer = await post("/apply-template", body);
  assert.equal(answer.status, 200, await answer.clone().text());
  const { prompt } = await answer.json();
  assert.equal(prompt, `Add${ARGUMENTS} ${ID}`);
});

Deno.test("numbers of a request beyond 2^53 are numbers as before", async () => {
  const { post, engine } = testApi({ pieces: ["ok"] });
  const messages = '[{"role":"user","content":"a"}]';
  for (
    const [seed, folded] of [["9223372036854775807", 2147483647], [
      "9223372036854775806",
      2147483646,
    ]]
  ) {
    const head = `{"model":"demo","messages":${messages}`;
    for (
      const [path, body] of [
        ["/api/chat", `${head},"options":{"seed":${seed}}}`],
        ["/v1/chat/completions", `${head},"seed":${seed}}`],
      ] as const
    ) {
      const answer = await post(path, body);
      assert.equal(answer.status, 200, await answer.clone().text());
      await answer.text();
      assert.equal(engine.requests.at(-1)!.sampling.seed, folded, path);
    }
  }
  const refused = await post("/api/generate", '{"model":"demo","prompt":99999999999999999999}');
  assert.equal(refused.status, 400);
  assert.match((await refused.json()).error, /prompt must be a string/);
});
