/**
 * What a client may send, within the body's limit, that costs most: a generator for each field that has a list, a text or a
 * schema. Not part of the product.
 */
import { INFERENCE_BYTES } from "../../src/api/routes.ts";
import { JSON_LIMITS } from "./body.ts";

/** A request: where to, and its body's JSON. */
interface Worst {
  readonly path: string;
  readonly body: string;
}

const MODEL = `"model":"demo","stream":false`;
const ONE = `"options":{"num_predict":1}`;
const SHORT = `[{"role":"user","content":"hi"}]`;
const fill = (text: string, bytes: number) => text.repeat(Math.floor(bytes / text.length));
const list = (count: number, item: string | ((at: number) => string)) =>
  `[${
    Array.from({ length: count }, (_, at) => typeof item === "string" ? item : item(at)).join(",")
  }]`;
const chat = (messages: string, more = ""): Worst => ({
  path: "/api/chat",
  body: `{${MODEL},${ONE},"messages":${messages}${more}}`,
});
const openai = (path: string, more: string): Worst => ({
  path,
  body: `{"model":"demo","max_tokens":1,${more}}`,
});
const format = (schema: unknown): Worst => chat(SHORT, `,"format":${JSON.stringify(schema)}`);

/** As many containers as a body may have, but for what is around them. */
const CONTAINERS = JSON_LIMITS.containers - 100;
const VALUES = JSON_LIMITS.values - 1000;
const TEXT = INFERENCE_BYTES - 100_000;
const schemaOf = (count: number, part: (at: number) => [string, unknown]) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => part(at)));

/** By name; each is made when it is asked for, as they are large. */
export const WORST: Readonly<Record<string, () => Worst>> = {
  "one long text": () => chat(`[{"role":"user","content":"${fill("hello ", TEXT)}"}]`),
  "one long text of other letters": () =>
    chat(`[{"role":"user","content":"${fill("ä€", TEXT / 3)}"}]`),
  "one long text of escapes": () => chat(`[{"role":"user","content":"${fill("\\n", TEXT)}"}]`),
  "many short messages": () => chat(list(CONTAINERS, `{"role":"user","content":"a"}`)),
  "many messages that differ": () =>
    chat(list(CONTAINERS, (at) => `{"role":"user","content":"${"b".repeat(at % 700)}"}`)),
  "as many messages as are allowed, and long": () =>
    chat(list(1000, `{"role":"user","content":"${"b".repeat(30_000)}"}`)),
  "many system messages": () => chat(list(1000, `{"role":"system","content":"aaaa"}`)),
  "one message with many calls": () =>
    chat(
      `[{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":${
        list(1000, (at) => `{"id":"c${at}","function":{"name":"f","arguments":{"a":${at}}}}`)
      }},${list(900, (at) => `{"role":"tool","tool_call_id":"c${at}","content":"r"}`).slice(1)}`,
    ),
  "calls with large arguments": () =>
    chat(
      list(
        300,
        `{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":"${
          "x".repeat(100_000)
        }"}}}]}`,
      ),
    ),
  "calls of many openai messages": () =>
    openai(
      "/v1/chat/completions",
      `"messages":${
        list(900, (at) =>
          `{"role":"assistant","content":null,"tool_calls":[{"id":"c${at}","type":"function","function":{"name":"f","arguments":"${
            fill(`{\\"a\\":[`, 30_000)
          }"}}]}`)
      }`,
    ),
  "content in many parts": () =>
    openai(
      "/v1/chat/completions",
      `"messages":[{"role":"user","content":${list(CONTAINERS, `{"type":"text","text":"a"}`)}}]`,
    ),
  "many pictures": () =>
    chat(`[{"role":"user","content":"x","images":${list(1000, `"${fill("AAAA", 30_000)}"`)}}]`),
  "one large picture": () =>
    chat(`[{"role":"user","content":"x","images":["${fill("AAAA", TEXT)}"]}]`),
  "many tools": () =>
    chat(
      SHORT,
      `,"tools":${
        list(1000, (at) =>
          `{"type":"function","function":{"name":"f${at}","description":"${
            "d".repeat(20_000)
          }","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}`)
      }`,
    ),
  "many strict tools": () =>
    openai(
      "/v1/chat/completions",
      `"messages":${SHORT},"tool_choice":"required","tools":${
        list(1000, (at) =>
          `{"type":"function","function":{"name":"f${at}","strict":true,"parameters":{"type":"object","properties":${
            JSON.stringify(schemaOf(10, (n) => [`p${n}`, { type: "string" }]))
          },"additionalProperties":false}}}`)
      }`,
    ),
  "many stops": () => ({
    path: "/api/chat",
    body: `{${MODEL},"messages":${SHORT},"options":{"num_predict":1,"stop":${
      list(64, (at) => `"${"s".repeat(4090)}${at}"`)
    }}}`,
  }),
  "a large bias": () =>
    openai(
      "/v1/chat/completions",
      `"messages":${SHORT},"logit_bias":{${
        Array.from({ length: 1024 }, (_, at) => `"${at}":1`).join(",")
      }}`,
    ),
  "a bias beyond all measure": () =>
    openai(
      "/v1/chat/completions",
      `"messages":${SHORT},"logit_bias":{${
        Array.from({ length: 500_000 }, (_, at) => `"${at}":1`).join(",")
      }}`,
    ),
  "an unknown field with many values": () => chat(SHORT, `,"x":${list(VALUES, "1")}`),
  "an unknown field with many members": () =>
    chat(
      SHORT,
      `,"x":{${Array.from({ length: 700_000 }, (_, at) => `"${at.toString(36)}":1`).join(",")}}`,
    ),
  "deep lists": () => chat(SHORT, `,"x":${list(300, "[".repeat(120) + "]".repeat(120))}`),
  "tokens as the context": () => ({
    path: "/api/generate",
    body: `{${MODEL},${ONE},"prompt":"x","context":${list(VALUES, "5")}}`,
  }),
  "tokens as the prompt": () => openai("/v1/completions", `"prompt":${list(VALUES, "5")}`),
  "prompts": () => openai("/v1/completions", `"prompt":${list(128, `"${fill("a ", 200_000)}"`)}`),
  "texts to embed": () =>
    openai("/v1/embeddings", `"input":${list(2048, `"${fill("a ", 15_000)}"`)}`),
  "lists of tokens to embed": () =>
    openai("/v1/embeddings", `"input":${list(2000, `[${fill("5,", 800)}5]`)}`),
  "many short texts to embed": () => openai("/v1/embeddings", `"input":${list(2048, '"a"')}`),
  "a long suffix": () => ({
    path: "/api/generate",
    body: `{${MODEL},${ONE},"prompt":"${fill("a ", TEXT / 2)}","suffix":"${
      fill("b ", TEXT / 2 - 1000)
    }"}`,
  }),
  "a long template": () => ({
    path: "/api/generate",
    body: `{${MODEL},${ONE},"prompt":"x","template":"${fill("{{ .Prompt }}", TEXT)}"}`,
  }),
  "many items": () =>
    openai(
      "/v1/responses",
      `"input":${list(CONTAINERS, `{"type":"message","role":"user","content":"a"}`)}`,
    ),
  "items that are stored": () =>
    openai(
      "/v1/responses",
      `"max_output_tokens":16,"truncation":"auto","input":[{"role":"user","content":"${
        fill("a ", TEXT)
      }"}]`,
    ),
  "metadata": () =>
    openai("/v1/responses", `"input":"hi","metadata":{"a":"${fill('\\\\"', TEXT)}"}`),
  "blocks": () => ({
    path: "/v1/messages",
    body: `{"model":"demo","max_tokens":1,"messages":[{"role":"user","content":${
      list(CONTAINERS, `{"type":"text","text":"a"}`)
    }}]}`,
  }),
  "results in blocks": () => ({
    path: "/v1/messages",
    body: `{"model":"demo","max_tokens":1,"messages":[{"role":"assistant","content":${
      list(13_000, (at) => `{"type":"tool_use","id":"c${at}","name":"f","input":{}}`)
    }},{"role":"user","content":${
      list(13_000, (at) => `{"type":"tool_result","tool_use_id":"c${12_999 - at}","content":"r"}`)
    }}]}`,
  }),
  "a server's result of many values": () => ({
    path: "/v1/messages",
    body:
      `{"model":"demo","max_tokens":1,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"server_tool_use","id":"c","name":"f","input":{}},{"type":"web_search_tool_result","tool_use_id":"c","content":${
        list(VALUES, "1.5")
      }}]},{"role":"user","content":"y"}]}`,
  }),
  "a server's result of one long text": () => ({
    path: "/v1/messages",
    body:
      `{"model":"demo","max_tokens":1,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"server_tool_use","id":"c","name":"f","input":{}},{"type":"web_search_tool_result","tool_use_id":"c","content":{"a":"${
        fill("\\n", TEXT)
      }"}}]},{"role":"user","content":"y"}]}`,
  }),
  "what an interpreter put out": () =>
    openai(
      "/v1/responses",
      `"input":[{"type":"message","role":"user","content":"x"},{"type":"code_interpreter_call","id":"c","code":"1","outputs":${
        list(VALUES, "1.5")
      }},{"type":"message","role":"user","content":"y"}]`,
    ),
  "a schema with many values": () =>
    format({ enum: Array.from({ length: 90_000 }, (_, at) => `v${at}`) }),
  "a schema with a few long texts": () =>
    format({ enum: Array.from({ length: 5 }, (_, at) => `${at}${"long text ".repeat(700)}`) }),
  "a schema with many properties": () =>
    format({ type: "object", properties: schemaOf(3900, (at) => [`p${at}`, { type: "string" }]) }),
  "a schema whose parts are multiplied": () =>
    format({
      allOf: Array.from({ length: 30 }, (_, n) => ({
        anyOf: Array.from({ length: 20 }, (_, at) => ({
          properties: { [`p${n}_${at}`]: { type: "string" } },
          required: [`p${n}_${at}`],
        })),
      })),
    }),
  "a schema with many conjunctions": () =>
    format({
      type: "object",
      properties: schemaOf(100, (at) => [`p${at}`, {
        allOf: [{ anyOf: [{ minimum: at }, { maxLength: at }] }, {
          anyOf: [{ maximum: at + 9 }, { minLength: 2 }],
        }, { not: { enum: [at, at + 1, `${at}`] } }],
      }]),
    }),
  "a schema with many patterns": () =>
    format({
      type: "object",
      properties: schemaOf(500, (at) => [`p${at}`, {
        type: "string",
        pattern: `^(a|b){1,20}x${at}[0-9]{1,9}$`,
      }]),
    }),
  "a schema with one hard pattern": () => format({ type: "string", pattern: "(a|b)*a(a|b){12}" }),
  "a schema with all of many patterns": () =>
    format({
      type: "string",
      allOf: Array.from({ length: 40 }, (_, at) => ({ pattern: `[a-z]{${at + 1}}[0-9]` })),
    }),
  "a schema of negations": () =>
    format({
      allOf: Array.from({ length: 60 }, (_, at) => ({
        not: { properties: { [`p${at}`]: { enum: [1, 2, 3] } }, required: [`p${at}`] },
      })),
    }),
  "a schema with references": () =>
    format({
      $defs: schemaOf(1900, (at) => [`d${at}`, {
        type: "object",
        properties: { next: { $ref: `#/$defs/d${(at + 1) % 1900}` } },
      }]),
      $ref: "#/$defs/d0",
    }),
  "a schema with anchors": () =>
    format({
      $defs: schemaOf(1900, (at) => [`d${at}`, {
        $anchor: `a${at}`,
        type: "object",
        properties: { next: { $ref: `#a${(at + 1) % 1900}` } },
      }]),
      $ref: "#a0",
    }),
  "a schema with one of many": () =>
    format({
      oneOf: Array.from({ length: 60 }, (_, at) => ({
        type: "object",
        properties: { a: { minimum: at } },
      })),
    }),
  "a schema with long names": () =>
    format({
      type: "object",
      properties: schemaOf(9, (at) => [`${"n".repeat(100_000)}${at}`, { type: "string" }]),
    }),
};
