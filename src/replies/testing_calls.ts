/** Shared by tests: tools, calls of them, and each family's way of writing calls. */
import type { ParsedCall, Tool } from "./tools.ts";

const text = { type: "string" };
export const TOOLS: readonly Tool[] = [
  {
    name: "weather",
    parameters: { type: "object", properties: { city: text, days: { type: "integer" } } },
  },
  { name: "add", parameters: { type: "object", properties: { a: { type: "number" }, b: {} } } },
  {
    name: "write_file",
    parameters: {
      type: "object",
      properties: {
        path: text,
        content: text,
        mode: { type: ["string", "null"] },
        port: { anyOf: [{ type: "string" }] },
        tags: { type: "array" },
        force: { type: "boolean" },
        level: { $ref: "#/$defs/level" },
      },
      $defs: { level: { enum: ["1", "2"] } },
    },
  },
  { name: "functions.dotted-name", parameters: {} },
  { name: "python", parameters: { properties: { code: text } } },
];

/** Text that a value may hold, and that looks like the end of one. */
const HOSTILE =
  '</tool_call>\n</parameter>\n"}]<|call|>\\ ｜tool▁call▁end｜ [TOOL_CALLS] 😀\n<arg_key>';

export const WEATHER: ParsedCall = { name: "weather", arguments: { city: "Oslo", days: 2 } };
const ADD: ParsedCall = { name: "add", arguments: { a: 1.5, b: [2, "}"] } };
const WRITE: ParsedCall = { name: "write_file", arguments: { path: "3001", content: HOSTILE } };
const NONE: ParsedCall = { name: "weather", arguments: {} };

export const json = (value: unknown) => JSON.stringify(value);
export const named = (call: ParsedCall, key = "arguments") =>
  json({ name: call.name, [key]: call.arguments });
export const args = (call: ParsedCall) => json(call.arguments);

export const DS = {
  open: "<｜tool▁calls▁begin｜>",
  close: "<｜tool▁calls▁end｜>",
  v3: (call: ParsedCall) =>
    `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${call.name}\n\`\`\`json\n${
      args(call)
    }\n\`\`\`<｜tool▁call▁end｜>`,
  v31: (call: ParsedCall) =>
    `<｜tool▁call▁begin｜>${call.name}<｜tool▁sep｜>${args(call)}<｜tool▁call▁end｜>`,
};
const bare = (value: unknown) => typeof value === "string" ? value : json(value);
const entries = (call: ParsedCall) => Object.entries(call.arguments);
export const qwenCoder = (call: ParsedCall) =>
  `<function=${call.name}>\n${
    entries(call).map(([key, value]) => `<parameter=${key}>\n${bare(value)}\n</parameter>\n`).join(
      "",
    )
  }</function>`;
export const seedOss = (call: ParsedCall) =>
  `<function=${call.name}>\n${
    entries(call).map(([key, value]) => `<parameter=${key}>${bare(value)}</parameter>\n`).join("")
  }</function>`;
export const glm = (call: ParsedCall) =>
  `<tool_call>${call.name}\n${
    entries(call).map(([key, value]) =>
      `<arg_key>${key}</arg_key>\n<arg_value>${bare(value)}</arg_value>\n`
    ).join("")
  }</tool_call>`;
export const invoke = (call: ParsedCall) =>
  `<invoke name="${call.name}">\n${
    entries(call).map(([key, value]) => `<parameter name="${key}">${bare(value)}</parameter>\n`)
      .join("")
  }</invoke>\n`;
export const dsml = (call: ParsedCall) =>
  `<｜DSML｜invoke name="${call.name}">\n${
    entries(call).map(([key, value]) =>
      `<｜DSML｜parameter name="${key}" string="${typeof value === "string"}">${
        bare(value)
      }</｜DSML｜parameter>\n`
    ).join("")
  }</｜DSML｜invoke>\n`;
export const kimi = (call: ParsedCall, index: number) =>
  `<|tool_call_begin|>functions.${call.name}:${index}<|tool_call_argument_begin|>${
    args(call)
  }<|tool_call_end|>`;
export const python = (call: ParsedCall) =>
  `${call.name}(${entries(call).map(([key, value]) => `${key}=${json(value)}`).join(", ")})`;
export const gemma = (value: unknown, quote: string): string => {
  if (typeof value === "string") return quote + value + quote;
  if (Array.isArray(value)) return `[${value.map((item) => gemma(item, quote)).join(",")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return `{${
    Object.entries(value).map(([key, item]) => `${key}:${gemma(item, quote)}`).join(",")
  }}`;
};

/** Family → a reply that makes these calls, each of them with a hostile value among them. */
export const FAMILIES:
  readonly (readonly [family: string, reply: string, calls: readonly ParsedCall[]])[] = [
    [
      "Hermes, Qwen 2.5 and 3",
      [WEATHER, WRITE].map((c) => `<tool_call>\n${named(c)}\n</tool_call>`).join("\n"),
      [WEATHER, WRITE],
    ],
    [
      "Qwen3-Coder, Nemotron 3",
      [WRITE, WEATHER].map((c) => `<tool_call>\n${qwenCoder(c)}\n</tool_call>`).join("\n"),
      [WRITE, WEATHER],
    ],
    ["Qwen3-Coder without the outer tags", `${qwenCoder(WEATHER)}\n</tool_call>`, [WEATHER]],
    [
      "Qwen3-Coder, two in one",
      `<tool_call>\n${qwenCoder(WEATHER)}\n${qwenCoder(WRITE)}\n</tool_call>`,
      [WEATHER, WRITE],
    ],
    [
      "Qwen3-Coder without arguments",
      "<tool_call>\n<function=weather>\n</function>\n</tool_call>",
      [NONE],
    ],
    ["Seed-OSS", `<seed:tool_call>\n${seedOss(WRITE)}\n</seed:tool_call>`, [WRITE]],
    ["GLM 4.5 to 5", [WRITE, WEATHER, NONE].map(glm).join("\n"), [WRITE, WEATHER, NONE]],
    [
      "GLM on one line",
      "<tool_call>weather<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>",
      [{ name: "weather", arguments: { city: "Oslo" } }],
    ],
    ["MiniMax M2", `<minimax:tool_call>\n${invoke(WRITE)}${invoke(WEATHER)}</minimax:tool_call>`, [
      WRITE,
      WEATHER,
    ]],
    [
      "MiniMax M1, Hunyuan, Jamba",
      `<tool_calls>\n${named(WEATHER)}\n${named(WRITE)}\n</tool_calls>`,
      [WEATHER, WRITE],
    ],
    ["Apriel, a list", `<tool_calls>[${named(WEATHER)}, ${named(WRITE)}]</tool_calls>`, [
      WEATHER,
      WRITE,
    ]],
    ["Nemotron Nano 2", `<TOOLCALL>[${named(WEATHER)}, ${named(WRITE)}]</TOOLCALL>`, [
      WEATHER,
      WRITE,
    ]],
    ["Mistral, Nemo, Small 3", `[TOOL_CALLS][${named(WEATHER)}, ${named(WRITE)}]`, [
      WEATHER,
      WRITE,
    ]],
    [
      "Mistral Small 3.2, Devstral",
      `[TOOL_CALLS]weather[CALL_ID]aB3dE5gH7[ARGS]${args(WEATHER)}[TOOL_CALLS]write_file[ARGS]${
        args(WRITE)
      }`,
      [WEATHER, WRITE],
    ],
    ["Mistral without ARGS", `[TOOL_CALLS]weather${args(WEATHER)}[TOOL_CALLS]weather{}`, [
      WEATHER,
      NONE,
    ]],
    ["Granite 3", `<|tool_call|>[${named(WEATHER)}, ${named(WRITE)}]`, [WEATHER, WRITE]],
    ["Granite 3, in words", `<tool_call>[${named(WEATHER)}]`, [WEATHER]],
    ["Phi-4 mini", `<|tool_call|>[${named(WRITE)}]<|/tool_call|>`, [WRITE]],
    ["Phi-4, Firefunction", `functools[${named(WEATHER)}, ${named(WRITE)}]`, [WEATHER, WRITE]],
    ["Llama 3.1", `<|python_tag|>${named(WRITE, "parameters")}`, [WRITE]],
    [
      "Llama 3.1, several",
      `<|python_tag|>${named(WEATHER, "parameters")}; ${named(ADD, "parameters")}`,
      [WEATHER, ADD],
    ],
    ["Llama 3, bare", named(WRITE, "parameters"), [WRITE]],
    ["Llama 3, bare, several", `${named(WEATHER, "parameters")}; ${named(ADD, "parameters")}`, [
      WEATHER,
      ADD,
    ]],
    ["Llama 3.1, an interpreter", '<|python_tag|>print("a")\nx = {1: 2}', [{
      name: "python",
      arguments: { code: 'print("a")\nx = {1: 2}' },
    }]],
    ["Llama 3.1, a built-in tool", '<|python_tag|>weather.call(city="Oslo, N")', [{
      name: "weather",
      arguments: { city: "Oslo, N" },
    }]],
    ["Llama 3.2, functionary 3.1", `<function=write_file>${args(WRITE)}</function>`, [WRITE]],
    ["xLAM, a bare list", `[${named(WEATHER)}, ${named(WRITE)}]`, [WEATHER, WRITE]],
    [
      "OpenAI's own shape",
      json({ type: "function", function: { name: "weather", arguments: args(WEATHER) } }),
      [WEATHER],
    ],
    ["Llama 4", `[${python(WEATHER)}, ${python(WRITE)}]`, [WEATHER, WRITE]],
    ["Llama 4 with its tags", `<|python_start|>[${python(WEATHER)}]<|python_end|>`, [WEATHER]],
    ["Llama 4 in Python's words", "[add(a=-1.5, b={'k': [True, None, \"it's\"], 'n': ()})]", [{
      name: "add",
      arguments: { a: -1.5, b: { k: [true, null, "it's"], n: [] } },
    }]],
    ["Python by position", '[weather("Oslo", 2)]', [WEATHER]],
    ["LFM2", `<|tool_call_start|>[${python(WRITE)}, ${python(ADD)}]<|tool_call_end|>`, [
      WRITE,
      ADD,
    ]],
    ["LFM2 in JSON", `<|tool_call_start|>[${named(WEATHER)}]<|tool_call_end|>`, [WEATHER]],
    ["OLMo 3", `<function_calls>\n${python(WEATHER)}\n${python(WRITE)}\n</function_calls>`, [
      WEATHER,
      WRITE,
    ]],
    [
      "Gemma 4",
      `<|tool_call>call:weather${
        gemma(WEATHER.arguments, '<|"|>')
      }<tool_call|><|tool_call>call:write_file${gemma(WRITE.arguments, '<|"|>')}<tool_call|>`,
      [WEATHER, WRITE],
    ],
    [
      "FunctionGemma",
      `<start_function_call>call:write_file${
        gemma(WRITE.arguments, "<escape>")
      }<end_function_call>`,
      [WRITE],
    ],
    ["DeepSeek V3 and R1", `${DS.open}${DS.v3(WEATHER)}\n${DS.v3(WRITE)}${DS.close}`, [
      WEATHER,
      WRITE,
    ]],
    ["DeepSeek V3.1", `${DS.open}${DS.v31(WRITE)}${DS.v31(WEATHER)}${DS.close}`, [WRITE, WEATHER]],
    [
      "DeepSeek V3.2",
      `<｜DSML｜function_calls>\n${dsml(WRITE)}${dsml(WEATHER)}</｜DSML｜function_calls>`,
      [WRITE, WEATHER],
    ],
    [
      "Kimi K2",
      `<|tool_calls_section_begin|>${kimi(WEATHER, 0)}${kimi(WRITE, 1)}<|tool_calls_section_end|>`,
      [WEATHER, WRITE],
    ],
    [
      "Kimi K2, a name with dots",
      "<|tool_calls_section_begin|><|tool_call_begin|>functions.dotted-name:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
      [{ name: "functions.dotted-name", arguments: {} }],
    ],
    [
      "Command R7B and A",
      `<|START_ACTION|>[\n    ${
        json({ tool_call_id: "0", tool_name: "write_file", parameters: WRITE.arguments })
      },\n    ${
        json({ tool_call_id: "1", tool_name: "weather", parameters: WEATHER.arguments })
      }\n]<|END_ACTION|>`,
      [WRITE, WEATHER],
    ],
    [
      "Command R",
      `Action: \`\`\`json\n[\n    ${
        json({ tool_name: "weather", parameters: WEATHER.arguments })
      }\n]\`\`\``,
      [WEATHER],
    ],
    [
      "Command R, no tool",
      'Action: ```json\n[{"tool_name": "directly-answer", "parameters": {}}]\n```',
      [],
    ],
    [
      "Apertus",
      `<|tools_prefix|>[${json({ weather: WEATHER.arguments })}, ${
        json({ write_file: WRITE.arguments })
      }]<|tools_suffix|>`,
      [WEATHER, WRITE],
    ],
    ["InternLM 2", `<|action_start|><|plugin|>\n${named(WRITE, "parameters")}<|action_end|>`, [
      WRITE,
    ]],
  ];
