/** `secllama show`. */
import { parseModelName } from "../../api/model_name.ts";
import { ROUTES } from "../../api/routes.ts";
import { SecLlamaError } from "../../errors.ts";
import { joinsMessages } from "../../models/capabilities.ts";
import { type OllamaShow, showModel } from "../../models/show.ts";
import { type Command, type CommandContext, flag, JSON_OPTION } from "../command.ts";
import { modelStoreFor } from "../installation.ts";
import { type PairedModels, pairedModels, WHERE_DETAILS, WHERE_OPTIONS } from "./paired.ts";
import { printable } from "./print.ts";

/** Options that print one part as it is, for scripts: flag → field. */
const PARTS = {
  modelfile: ["modelfile", "print a Modelfile that makes the model again"],
  parameters: ["parameters", "print the parameters"],
  template: ["template", "print the template"],
  system: ["system", "print the system message"],
  license: ["license", "print the license"],
} as const satisfies Record<string, readonly [keyof OllamaShow, string]>;

export const showCommand: Command = {
  path: ["show"],
  example: "secllama show demo",
  summary: "Show what a model's file and Modelfile say of it",
  arguments: "MODEL",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...Object.fromEntries(
      Object.entries(PARTS).map(([name, [, help]]) => [name, { type: "boolean", help } as const]),
    ),
    ...JSON_OPTION,
    ...WHERE_OPTIONS,
  },
  details: WHERE_DETAILS,
  async run(context) {
    const { tui } = context;
    using paired = await pairedModels(context);
    const { shown, facts, lines } = paired === undefined
      ? await localModel(context)
      : await gatewayModel(context, paired);
    const asked = Object.keys(PARTS).filter((name) => flag(context, name));
    if (asked.length + (flag(context, "json") ? 1 : 0) > 1) {
      throw new SecLlamaError("usage", "only one of --json and the parts can be shown at a time");
    }
    if (asked[0] !== undefined) {
      const text = shown[PARTS[asked[0] as keyof typeof PARTS][0]];
      const lines = typeof text === "string" ? text.replace(/\n$/, "").split("\n") : [];
      for (const line of lines) tui.out(tui.isTerminal ? printable(line) : line);
      return 0;
    }
    if (flag(context, "json")) {
      tui.json({ ...facts, ...shown });
      return 0;
    }
    if (shown.system !== undefined) lines.push(["system", shown.system]);
    for (const line of shown.parameters?.split("\n") ?? []) lines.push(["parameter", line]);
    for (const { role, content } of shown.messages ?? []) lines.push([role, content]);
    for (const [name, value] of lines) tui.out(`${name.padEnd(18)}${printable(value)}`);
    return 0;
  },
};

interface Shown {
  readonly shown: OllamaShow;
  /** What `--json` says of it before that. */
  readonly facts: object;
  readonly lines: [string, string][];
}

async function localModel(context: CommandContext): Promise<Shown> {
  const store = await modelStoreFor(context);
  const model = await store.resolve(context.positionals[0]!);
  const shown = await showModel(store, model.name);
  const details = await store.details(model);
  const { name, digest, source } = model;
  const lines: [string, string][] = [
    ["name", name],
    ["architecture", details.architecture],
    ["parameters", details.parameterSize],
    ["quantization", details.quantization],
    ["context length", String(details.contextLength)],
    ["embedding length", String(details.embeddingLength)],
    ["capabilities", shown.capabilities.join(", ")],
    ...madeFor(shown),
    ["digest", digest],
    ["manifest", `sha256:${model.manifestDigest}`],
    ["file", model.blobPath],
  ];
  if (joinsMessages(details, shown.template)) {
    lines.push(["chat template", "none: messages are joined as they are"]);
  }
  return { shown, facts: { name, digest, source }, lines };
}

/** What the gateway says of it: where its file is, is the gateway's business. */
async function gatewayModel(context: CommandContext, paired: PairedModels): Promise<Shown> {
  const name = parseModelName(context.positionals[0]!).shown;
  const { answer } = await paired.metadata(ROUTES.show.path, { model: name });
  const shown = answer as OllamaShow;
  const { family, parameter_size, quantization_level } = shown.details;
  const number = (key: string) => String(shown.model_info[`${family}.${key}`] ?? "unknown");
  const lines: [string, string][] = [
    ["name", name],
    ["architecture", family],
    ["parameters", parameter_size],
    ["quantization", quantization_level],
    ["context length", number("context_length")],
    ["embedding length", number("embedding_length")],
    ["capabilities", shown.capabilities.join(", ")],
    ...madeFor(shown),
    ["on", paired.at],
  ];
  return { shown, facts: { name, source: paired.at }, lines };
}

function madeFor({ requires }: OllamaShow): [string, string][] {
  return requires === undefined ? [] : [["made for", `Ollama ${requires}`]];
}
