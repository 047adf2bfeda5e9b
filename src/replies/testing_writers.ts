/** Shared by tests: each family's way of writing any calls. */
import {
  args,
  DS,
  dsml,
  gemma,
  glm,
  invoke,
  json,
  kimi,
  named,
  python,
  qwenCoder,
  seedOss,
} from "./testing_calls.ts";
import type { ParsedCall } from "./tools.ts";

/** A family's way of writing any calls. `template`: of one that is known by it. */
export interface Writer {
  readonly family: string;
  readonly write: (calls: readonly ParsedCall[]) => string;
  readonly template?: string;
  readonly promptTail?: string;
  /** Nothing can be shown before the call is whole. */
  readonly atOnce?: true;
}

const each = (write: (call: ParsedCall, index: number) => string, between = "") =>
(
  calls: readonly ParsedCall[],
) => calls.map(write).join(between);
const around = (open: string, write: Writer["write"], close: string): Writer["write"] => (calls) =>
  `${open}${write(calls)}${close}`;
const parameters = (call: ParsedCall) => named(call, "parameters");
const commands = each((call) => json({ tool_name: call.name, parameters: call.arguments }), ",\n");

export const WRITERS: readonly Writer[] = [
  { family: "Hermes", write: each((c) => `<tool_call>\n${named(c)}\n</tool_call>`, "\n") },
  { family: "Qwen3-Coder", write: each((c) => `<tool_call>\n${qwenCoder(c)}\n</tool_call>`, "\n") },
  { family: "Qwen3-Coder, bare", write: each(qwenCoder, "\n") },
  { family: "Seed-OSS", write: around("<seed:tool_call>", each(seedOss), "</seed:tool_call>") },
  { family: "GLM", write: each(glm, "\n") },
  {
    family: "MiniMax M2",
    write: around("<minimax:tool_call>\n", each(invoke), "</minimax:tool_call>"),
  },
  {
    family: "MiniMax M1",
    write: around("<tool_calls>\n", each((c) => named(c), "\n"), "\n</tool_calls>"),
  },
  {
    family: "Apriel",
    write: around("<tool_calls>[", each((c) => named(c), ", "), "]</tool_calls>"),
  },
  { family: "Nemotron", write: around("<TOOLCALL>[", each((c) => named(c), ", "), "]</TOOLCALL>") },
  { family: "Mistral", write: around("[TOOL_CALLS][", each((c) => named(c), ", "), "]") },
  { family: "Devstral", write: each((c) => `[TOOL_CALLS]${c.name}[ARGS]${args(c)}`) },
  {
    family: "Granite, Phi-4 mini",
    write: around("<|tool_call|>[", each((c) => named(c), ", "), "]"),
  },
  { family: "functools", write: around("functools[", each((c) => named(c), ", "), "]") },
  { family: "Llama 3.1", write: around("<|python_tag|>", each(parameters, "; "), "") },
  { family: "Llama 3, bare", write: each(parameters, "; ") },
  { family: "Llama 3.2", write: each((c) => `<function=${c.name}>${args(c)}</function>`) },
  { family: "xLAM", write: around("[", each((c) => named(c), ", "), "]") },
  {
    family: "OpenAI's own shape",
    write: around(
      "[",
      each((c) => json({ type: "function", function: { name: c.name, arguments: args(c) } }), ","),
      "]",
    ),
    atOnce: true,
  },
  { family: "Llama 4", write: around("[", each(python, ", "), "]") },
  {
    family: "LFM2",
    write: around("<|tool_call_start|>[", each(python, ", "), "]<|tool_call_end|>"),
  },
  {
    family: "OLMo 3",
    write: around("<function_calls>\n", each(python, "\n"), "\n</function_calls>"),
  },
  {
    family: "Gemma 4",
    write: each((c) => `<|tool_call>call:${c.name}${gemma(c.arguments, '<|"|>')}<tool_call|>`),
  },
  {
    family: "FunctionGemma",
    write: each((c) =>
      `<start_function_call>call:${c.name}${gemma(c.arguments, "<escape>")}<end_function_call>`
    ),
  },
  { family: "DeepSeek V3", write: around(DS.open, each(DS.v3, "\n"), DS.close) },
  { family: "DeepSeek V3.1", write: around(DS.open, each(DS.v31), DS.close) },
  {
    family: "DeepSeek V3.2",
    write: around("<｜DSML｜function_calls>\n", each(dsml), "</｜DSML｜function_calls>"),
  },
  {
    family: "Kimi K2",
    write: around("<|tool_calls_section_begin|>", each(kimi), "<|tool_calls_section_end|>"),
  },
  {
    family: "Command R7B",
    write: around("<|START_ACTION|>[\n    ", commands, "\n]<|END_ACTION|>"),
  },
  { family: "Command R", write: around("Action: ```json\n[", commands, "]\n```") },
  {
    family: "Apertus",
    write: around(
      "<|tools_prefix|>[",
      each((c) => json({ [c.name]: c.arguments }), ", "),
      "]<|tools_suffix|>",
    ),
  },
  {
    family: "InternLM 2",
    write: each((c) => `<|action_start|><|plugin|>\n${parameters(c)}<|action_end|>`),
  },
  {
    family: "gpt-oss",
    template: "<|channel|><|message|>",
    write: each(
      (c) =>
        `<|channel|>commentary to=functions.${c.name} <|constrain|>json<|message|>${
          args(c)
        }<|call|>`,
      "<|start|>assistant",
    ),
  },
  {
    family: "functionary",
    template: ">>>all",
    promptTail: ">>>",
    write: each((c) => `${c.name}\n${args(c)}`, ">>>"),
  },
];
