/** Arguments of calls as deltas, in each dialect that has them: joined, what the reply without a stream has. */
import assert from "node:assert/strict";
import { TOOLS } from "../../src/replies/testing_calls.ts";
import { WRITERS } from "../../src/replies/testing_writers.ts";
import { readEvents, testApi } from "./testing.ts";

const CALLS = [
  {
    name: "write_file",
    arguments: { path: "a.txt", content: 'line "one"\nline two, and more', tags: [1, { a: "b" }] },
  },
  { name: "add", arguments: { a: 1.5, b: [] } },
];
const MESSAGES = [{ role: "user", content: "Write" }];
const functions = TOOLS.map((tool) => ({ ...tool, parameters: tool.parameters ?? {} }));

for (const { family, write, template, promptTail, atOnce } of WRITERS) {
  const api = () =>
    testApi({
      pieces: [...write(CALLS)],
      info: {
        chatTemplate: `{{ tools }}${template ?? ""}`,
        capabilities: ["completion", "tools"],
      },
      ...(promptTail === undefined ? {} : { promptTail }),
    });
  const ask = async (path: string, body: Record<string, unknown>) => {
    const response = await api().post(path, { model: "demo", ...body });
    assert.equal(response.status, 200, response.ok ? "" : await response.text());
    return response;
  };
  const streamed = async (path: string, body: Record<string, unknown>) => {
    const events = await readEvents(await ask(path, { ...body, stream: true }));
    return events.filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data));
  };
  const many = (pieces: number) => assert.ok(atOnce ? pieces === 1 : pieces > 10, `${pieces}`);

  Deno.test(`call deltas: ${family}: OpenAI's chat`, async () => {
    const body = {
      messages: MESSAGES,
      tools: functions.map((fn) => ({ type: "function", function: fn })),
    };
    const path = "/v1/chat/completions";
    const { message } = (await (await ask(path, body)).json()).choices[0];
    const chunks = await streamed(path, body);
    const deltas = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    const calls: { id: string; name: string; arguments: string; pieces: number }[] = [];
    for (const { index, id, type, function: fn } of deltas) {
      if (id !== undefined) {
        assert.equal(index, calls.length);
        assert.equal(type, "function");
        calls.push({ id, name: fn.name, arguments: "", pieces: 0 });
      } else assert.deepEqual(Object.keys(fn), ["arguments"]);
      calls[index]!.arguments += fn.arguments;
      calls[index]!.pieces++;
    }
    assert.deepEqual(
      calls.map((call) => [call.name, call.arguments]),
      message.tool_calls.map((call: { function: { name: string; arguments: string } }) => [
        call.function.name,
        call.function.arguments,
      ]),
    );
    assert.deepEqual(
      calls.map((call) => JSON.parse(call.arguments)),
      CALLS.map((c) => c.arguments),
    );
    many(calls[0]!.pieces);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "tool_calls");
  });

  Deno.test(`call deltas: ${family}: Responses`, async () => {
    const body = { input: "Write", tools: functions.map((fn) => ({ type: "function", ...fn })) };
    const whole = await (await ask("/v1/responses", body)).json();
    const events = await streamed("/v1/responses", body);
    const calls = new Map<string, { name: string; text: string; pieces: number }>();
    for (const event of events) {
      if (event.type === "response.output_item.added") {
        calls.set(event.item.id, { name: event.item.name, text: "", pieces: 0 });
      } else if (event.type === "response.function_call_arguments.delta") {
        calls.get(event.item_id)!.text += event.delta;
        calls.get(event.item_id)!.pieces++;
      } else if (event.type === "response.function_call_arguments.done") {
        assert.equal(event.arguments, calls.get(event.item_id)!.text);
      } else if (event.type === "response.output_item.done") {
        assert.equal(event.item.arguments, calls.get(event.item.id)!.text);
      }
    }
    assert.deepEqual(
      [...calls.values()].map(({ name, text }) => [name, text]),
      whole.output.map((item: { name: string; arguments: string }) => [item.name, item.arguments]),
    );
    many([...calls.values()][0]!.pieces);
  });

  Deno.test(`call deltas: ${family}: Anthropic`, async () => {
    const body = {
      messages: MESSAGES,
      max_tokens: 4000,
      tools: functions.map(({ name, parameters }) => ({ name, input_schema: parameters })),
    };
    const whole = await (await ask("/v1/messages", body)).json();
    const events = await streamed("/v1/messages", body);
    const blocks: { name: string; json: string; pieces: number; open: boolean }[] = [];
    for (const event of events) {
      if (event.type === "content_block_start") {
        assert.ok(blocks.every(({ open }) => !open));
        assert.equal(event.index, blocks.length);
        blocks.push({ name: event.content_block.name, json: "", pieces: 0, open: true });
      } else if (event.type === "content_block_delta") {
        assert.equal(event.delta.type, "input_json_delta");
        blocks[event.index]!.json += event.delta.partial_json;
        blocks[event.index]!.pieces++;
      } else if (event.type === "content_block_stop") blocks[event.index]!.open = false;
    }
    assert.deepEqual(
      blocks.map(({ name, json, open }) => [name, JSON.parse(json), open]),
      whole.content.map((one: { name: string; input: unknown }) => [one.name, one.input, false]),
    );
    many(blocks[0]!.pieces);
  });
}
