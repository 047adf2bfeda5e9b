/** `secllama show`. */
import { SecLlamaError } from "../../errors.ts";
import { joinsMessages } from "../../models/capabilities.ts";
import { type OllamaShow, showModel } from "../../models/show.ts";
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { modelStoreFor } from "../installation.ts";
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
  },
  async run(context) {
    const { tui } = context;
    const store = await modelStoreFor(context);
    const model = await store.resolve(context.positionals[0]!);
    const shown = await showModel(store, model.name);
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
      tui.json({ name: model.name, digest: model.digest, source: model.source, ...shown });
      return 0;
    }
    const details = await store.details(model);
    const lines: [string, string][] = [
      ["name", model.name],
      ["architecture", details.architecture],
      ["parameters", details.parameterSize],
      ["quantization", details.quantization],
      ["context length", String(details.contextLength)],
      ["embedding length", String(details.embeddingLength)],
      ["capabilities", shown.capabilities.join(", ")],
      ...(shown.requires === undefined
        ? []
        : [["made for", `Ollama ${shown.requires}`] as [string, string]]),
      ["digest", model.digest],
      ["manifest", `sha256:${model.manifestDigest}`],
      ["file", model.blobPath],
    ];
    if (joinsMessages(details, shown.template)) {
      lines.push(["chat template", "none: messages are joined as they are"]);
    }
    if (shown.system !== undefined) lines.push(["system", shown.system]);
    for (const line of shown.parameters?.split("\n") ?? []) lines.push(["parameter", line]);
    for (const { role, content } of shown.messages ?? []) lines.push([role, content]);
    for (const [name, value] of lines) tui.out(`${name.padEnd(18)}${printable(value)}`);
    return 0;
  },
};
