/** `secllama rm`. */
import { label } from "../../log.ts";
import { RECORDING_OPTIONS, recordingAlone } from "../audit/act.ts";
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { modelStoreFor } from "../installation.ts";
import { humanBytes } from "./print.ts";

export const removeCommand: Command = {
  path: ["rm"],
  example: "secllama rm mine",
  summary: "Remove models from the store",
  arguments: "MODEL...",
  minPositionals: 1,
  maxPositionals: 1000,
  options: { ...JSON_OPTION, ...RECORDING_OPTIONS },
  async run(context) {
    const { tui } = context;
    const store = await modelStoreFor(context);
    const removed: Awaited<ReturnType<typeof store.remove>>[] = [];
    await recordingAlone(context, async (record) => {
      for (const name of context.positionals) {
        const one = await store.remove(name);
        removed.push(one);
        await record("model-removed", { model: label(one.name) });
        if (!flag(context, "json")) {
          tui.out(`removed ${one.name}, ${humanBytes(one.freedBytes)} freed`);
        }
      }
    });
    if (flag(context, "json")) tui.json({ removed });
    return 0;
  },
};
