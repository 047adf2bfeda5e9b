/** `secllama cp`. */
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { modelStoreFor } from "../installation.ts";

export const copyCommand: Command = {
  path: ["cp"],
  example: "secllama cp demo mine",
  summary: "Give a model a second name",
  arguments: "MODEL NAME",
  minPositionals: 2,
  maxPositionals: 2,
  options: JSON_OPTION,
  async run(context) {
    const { tui, positionals: [from, to], signal } = context;
    const model = await (await modelStoreFor(context)).copy(from!, to!, { signal });
    if (flag(context, "json")) tui.json({ name: model.name, digest: model.digest });
    else tui.out(`copied ${from} to ${model.name}`);
    return 0;
  },
};
