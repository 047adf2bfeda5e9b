/**
 * How each family writes calls, for a grammar that a reply is held to: the other side of what `syntaxes.ts` reads, by what opens
 * a call there. In these texts `~` is white space that may be, `^` a space that may be, `#` a small number, `@` an id.
 */

/** A tag around each argument, whose text stands bare. */
export interface MarkupArguments {
  readonly kind: "markup";
  /** Around an argument's name; the last is what stands behind its value. */
  readonly name: readonly [before: string, after: string, end: string];
  /** Behind the name, by whether the value is a text; absent: nothing tells. */
  readonly says?: readonly [text: string, other: string];
  /** What ends a value, and what must follow for that. */
  readonly close: string;
  readonly next: readonly string[];
  /** A closing tag of anything on a new line ends the value as well. */
  readonly endsByLine?: true;
  /** One JSON object may stand in place of all. */
  readonly orJson?: true;
}

export type ArgumentsForm =
  | { readonly kind: "json" | "python" }
  | { readonly kind: "gemma"; readonly quote: string }
  | MarkupArguments;

export interface CallForm {
  /** What a reply's first call begins with; "": a call is the whole reply. */
  readonly open: string;
  /** Of several forms with one opening: what tells this one, in calls that the template shows, or in its text. */
  readonly sign?: string;
  /** Once around all calls of a reply. */
  readonly around?: readonly [open: string, close: string];
  /** Before the name, behind it, and behind the arguments. */
  readonly call: readonly [before: string, between: string, after: string];
  /** What may stand behind the arguments: an id, of which a model may write one. */
  readonly mayFollow?: string;
  /** Between two calls; absent: a reply has one. */
  readonly join?: string;
  readonly arguments: ArgumentsForm;
}

const JSON_ARGUMENTS: ArgumentsForm = { kind: "json" };
const PYTHON_ARGUMENTS: ArgumentsForm = { kind: "python" };

/** `{"name": …, "arguments": …}` */
function named(before = "", after = "", keys = ["name", "arguments"]): CallForm["call"] {
  return [`${before}{~"${keys[0]}":~"`, `"~,~"${keys[1]}":~`, `~}${after}`];
}

/** A list of JSON objects. */
function list(
  open: string,
  close: string,
  o: { sign?: string; call?: CallForm["call"] } = {},
): CallForm {
  const { sign, call = named() } = o;
  return {
    open,
    ...(sign === undefined ? {} : { sign }),
    around: [`${open}~[~`, `~]${close === "" ? "" : `~${close}`}`],
    call,
    ...(call[1].includes('"arguments"') ? { mayFollow: '~,~"id":~"@"' } : {}),
    join: "~,~",
    arguments: JSON_ARGUMENTS,
  };
}

/** A list of calls in Python's way, between tags. */
function python(open: string, close: string): CallForm {
  return {
    open,
    around: [`${open}[`, `]${close}`],
    call: ["", "(", ")"],
    join: "~,~",
    arguments: PYTHON_ARGUMENTS,
  };
}

/** Qwen3-Coder's: line breaks at a value's ends are the tags'. */
const FUNCTION_ARGUMENTS: MarkupArguments = {
  kind: "markup",
  name: ["<parameter=", ">\n", "\n</parameter>~"],
  close: "</parameter>",
  next: ["<parameter=", "</function>"],
  endsByLine: true,
  orJson: true,
};
const SEED_ARGUMENTS: MarkupArguments = {
  ...FUNCTION_ARGUMENTS,
  name: ["<parameter=", ">", "</parameter>~"],
};

function invoke(tag: string, says?: MarkupArguments["says"]): MarkupArguments {
  return {
    kind: "markup",
    name: [`<${tag}parameter name="`, says === undefined ? '">' : "", `</${tag}parameter>~`],
    ...(says === undefined ? {} : { says }),
    close: `</${tag}parameter>`,
    next: [`<${tag}parameter name="`, `</${tag}invoke>`],
    endsByLine: true,
    orJson: true,
  };
}

function invokes(tag: string, open: string, close: string, says?: MarkupArguments["says"]) {
  return {
    open,
    around: [`${open}~`, close],
    call: [`<${tag}invoke name="`, '">~', `</${tag}invoke>~`],
    join: "",
    arguments: invoke(tag, says),
  } as const satisfies CallForm;
}

function deepSeek(
  open: string,
  close: string,
  [call, separator, end]: readonly [string, string, string],
): CallForm[] {
  const both = { open, around: [open, close], join: "~", arguments: JSON_ARGUMENTS } as const;
  return [
    {
      ...both,
      sign: "```json",
      call: [`${call}function${separator}`, "\n```json\n", `\n\`\`\`${end}`],
    },
    { ...both, call: [call, separator, end] },
  ];
}

/** Those with a sign stand before those without. */
export const CALL_FORMS: readonly CallForm[] = [
  {
    open: "<tool_call>",
    sign: "<function=",
    call: ["<tool_call>~<function=", ">~", "</function>~</tool_call>"],
    join: "~",
    arguments: FUNCTION_ARGUMENTS,
  },
  {
    open: "<tool_call>",
    sign: "<arg_key>",
    call: ["<tool_call>", "~", "</tool_call>"],
    join: "~",
    arguments: {
      kind: "markup",
      name: ["<arg_key>", "</arg_key>~<arg_value>", "</arg_value>~"],
      close: "</arg_value>",
      next: ["<arg_key>", "</tool_call>"],
    },
  },
  {
    open: "<tool_call>",
    call: named("<tool_call>~", "~</tool_call>"),
    join: "~",
    arguments: JSON_ARGUMENTS,
  },
  {
    open: "[TOOL_CALLS]",
    sign: "[CALL_ID]",
    call: ["[TOOL_CALLS]", "[CALL_ID]@[ARGS]", ""],
    join: "",
    arguments: JSON_ARGUMENTS,
  },
  {
    open: "[TOOL_CALLS]",
    sign: "[ARGS]",
    call: ["[TOOL_CALLS]", "[ARGS]", ""],
    join: "",
    arguments: JSON_ARGUMENTS,
  },
  list("[TOOL_CALLS]", ""),
  {
    open: "<|tool_calls_section_begin|>",
    around: ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"],
    call: [
      "<|tool_call_begin|>functions.",
      ":#<|tool_call_argument_begin|>",
      "<|tool_call_end|>",
    ],
    join: "",
    arguments: JSON_ARGUMENTS,
  },
  list("<|tools_prefix|>", "<|tools_suffix|>", { call: ['{~"', '":~', "~}"] }),
  {
    open: "<|action_start|>",
    call: named("<|action_start|>~<|plugin|>~", "~<|action_end|>", ["name", "parameters"]),
    join: "~",
    arguments: JSON_ARGUMENTS,
  },
  list("Action: ```json", "```", { call: named("", "", ["tool_name", "parameters"]) }),
  list("<tool_calls>", "</tool_calls>", { sign: "<tool_calls>[" }),
  {
    open: "<tool_calls>",
    around: ["<tool_calls>~", "~</tool_calls>"],
    call: named(),
    join: "~",
    arguments: JSON_ARGUMENTS,
  },
  list("<TOOLCALL>", "</TOOLCALL>"),
  list("<toolcall>", "</toolcall>"),
  list("<|START_ACTION|>", "<|END_ACTION|>", {
    sign: "tool_call_id",
    call: ['{~"tool_call_id":~"#"~,~"tool_name":~"', '"~,~"parameters":~', "~}"],
  }),
  list("<|START_ACTION|>", "<|END_ACTION|>", { call: named("", "", ["tool_name", "parameters"]) }),
  list("<|tool_call|>", "<|/tool_call|>", { sign: "<|/tool_call|>" }),
  list("<|tool_call|>", ""),
  list("functools", ""),
  {
    open: "<|tool_call>",
    call: ["<|tool_call>call:", "", "<tool_call|>"],
    join: "",
    arguments: { kind: "gemma", quote: '<|"|>' },
  },
  {
    open: "<start_function_call>",
    call: ["<start_function_call>call:", "", "<end_function_call>"],
    join: "",
    arguments: { kind: "gemma", quote: "<escape>" },
  },
  python("<|python_start|>", "<|python_end|>"),
  python("<|tool_call_start|>", "<|tool_call_end|>"),
  {
    open: "<function_calls>",
    around: ["<function_calls>~", "~</function_calls>"],
    call: ["", "(", ")"],
    join: "\n",
    arguments: PYTHON_ARGUMENTS,
  },
  invokes("", "<minimax:tool_call>", "</minimax:tool_call>"),
  invokes("｜DSML｜", "<｜DSML｜function_calls>", "</｜DSML｜function_calls>", [
    '" string="true">',
    '" string="false">',
  ]),
  {
    open: "<seed:tool_call>",
    call: ["<seed:tool_call>~<function=", ">~", "</function>~</seed:tool_call>"],
    join: "~",
    arguments: SEED_ARGUMENTS,
  },
  ...deepSeek("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", [
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
  ]),
  ...deepSeek("<｜tool_calls_begin｜>", "<｜tool_calls_end｜>", [
    "<｜tool_call_begin｜>",
    "<｜tool_sep｜>",
    "<｜tool_call_end｜>",
  ]),
  {
    open: "<function=",
    call: ["<function=", ">", "</function>"],
    join: "~",
    arguments: JSON_ARGUMENTS,
  },
];

/** A call is the whole reply. It is told from other JSON by its first key, for which nobody looks far. */
const bare = (key: string): CallForm => ({
  open: "",
  call: ['{^"name":~"', `"~,~"${key}":~`, "~}"],
  arguments: JSON_ARGUMENTS,
});
const BARE = bare("arguments");
const BARE_PARAMETERS = bare("parameters");
const BARE_LIST: CallForm = { ...BARE, around: ["[", "~]"], join: "~,~" };
const BARE_PYTHON: CallForm = { ...python("", ""), open: "" };

/**
 * The form of a template's calls.
 * @param written Calls that it shows for a conversation with some; absent: it shows none.
 * @param source Its text; absent: the model has none.
 */
export function callForm(written: string | undefined, source: string | undefined): CallForm {
  for (const text of [written, source]) {
    if (text === undefined) continue;
    const fits = ({ open, sign }: CallForm) =>
      text.includes(open) && (sign === undefined || text.includes(sign));
    const form = CALL_FORMS.find(fits);
    if (form !== undefined) return form;
    const start = /^\s*(\[?)\s*([{\w])/.exec(written ?? "");
    if (text === written && start !== null) {
      if (start[1] === "[") return start[2] === "{" ? BARE_LIST : BARE_PYTHON;
      if (start[2] === "{") return text.includes('"parameters":') ? BARE_PARAMETERS : BARE;
    }
  }
  return source?.includes('"parameters":') ? BARE_PARAMETERS : BARE;
}
