/** `secllama show`. */
import { showModel } from "../../models/show.ts";
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { openModelStore } from "../model_store.ts";
import { printable } from "./print.ts";

export const showCommand: Command = {
  path: ["show"],
  summary: "Show what a model's file says of it",
  arguments: "MODEL",
  minPositionals: 1,
  maxPositionals: 1,
  options: JSON_OPTION,
  async run(context) {
    const { tui } = context;
    const store = await openModelStore(context.env);
    const model = await store.resolve(context.positionals[0]!);
    const shown = await showModel(store, model.name);
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
      ["capabilities", details.capabilities.join(", ")],
      ["digest", model.digest],
      ["file", model.blobPath],
    ];
    if (shown.system !== undefined) lines.push(["system", shown.system]);
    for (const line of shown.parameters?.split("\n") ?? []) lines.push(["parameter", line]);
    for (const [name, value] of lines) tui.out(`${name.padEnd(18)}${printable(value)}`);
    return 0;
  },
};
