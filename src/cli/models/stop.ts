/** `secllama stop`. */
import { SecLlamaError } from "../../errors.ts";
import { isSameModel, parseModelName } from "../../api/model_name.ts";
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { ASKED_PROXY_OPTION } from "../settings.ts";
import { WHERE_DETAILS, WHERE_OPTIONS } from "./paired.ts";
import { runningServe } from "./running.ts";

const WAIT_MS = 30_000;

export const stopCommand: Command = {
  path: ["stop"],
  summary: "Unload a model that is loaded",
  arguments: "MODEL",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...ASKED_PROXY_OPTION, ...JSON_OPTION, ...WHERE_OPTIONS },
  details:
    `Requests that it is answering are finished first. Asks the serve that runs on this machine. ${WHERE_DETAILS}
A gateway lets only those machines stop a model that were paired with --may-stop.`,
  async run(context) {
    const { tui } = context;
    const wanted = parseModelName(context.positionals[0]!);
    const serve = await runningServe(context);
    const loaded = async () =>
      (await serve.models()).find((m) => isSameModel(m.name, wanted.shown));
    // Asking for a model that is not loaded would load it first.
    const name = (await loaded())?.name;
    if (name === undefined) {
      throw new SecLlamaError("model-not-found", `model "${wanted.shown}" is not loaded`, {
        hint: "to see what is: secllama ps",
        field: "model",
      });
    }
    await serve.unload(name);
    const deadline = performance.now() + WAIT_MS;
    let gone = !(await loaded());
    while (!gone && performance.now() < deadline && !context.signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      gone = !(await loaded());
    }
    if (flag(context, "json")) tui.json({ name, unloaded: gone });
    else tui.out(gone ? `stopped ${name}` : `${name} stops when it has answered`);
    return 0;
  },
};
