/** `secllama ps`. */
import { type Command, flag, JSON_OPTION } from "../command.ts";
import { plural } from "../../plural.ts";
import { ASKED_PROXY_OPTION } from "../settings.ts";
import { WHERE_DETAILS, WHERE_OPTIONS } from "./paired.ts";
import { humanBytes, printTable } from "./print.ts";
import { type RunningModel, runningServe } from "./running.ts";

export const psCommand: Command = {
  path: ["ps"],
  summary: "List the models that are loaded now",
  options: { ...ASKED_PROXY_OPTION, ...JSON_OPTION, ...WHERE_OPTIONS },
  details:
    `Asks the serve that runs on this machine; the exit code is 5 if none does. ${WHERE_DETAILS}`,
  async run(context) {
    const { tui } = context;
    const models = await (await runningServe(context)).models();
    if (flag(context, "json")) {
      tui.json({ models });
      return 0;
    }
    const { head, rows } = psTable(models);
    printTable(tui, head, rows);
    return 0;
  },
};

/** What is shown of them; of a fleet's also which host has each, and nothing with those of the host that answered. */
export function psTable(models: readonly RunningModel[]): { head: string[]; rows: string[][] } {
  const isFleet = models.some(({ host }) => host !== undefined);
  const rows = models.map((m) => [
    m.name,
    m.digest.slice(0, 12),
    humanBytes(m.size),
    processorOf(m),
    String(m.context_length),
    until(m.expires_at),
    ...(isFleet ? [m.host ?? ""] : []),
  ]);
  const head = ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"];
  return { head: isFleet ? [...head, "HOST"] : head, rows };
}

/** Where the model is computed, in Ollama's way: its part in a GPU's memory. */
function processorOf({ size, size_vram }: RunningModel): string {
  const gpu = size > 0 ? Math.round((100 * size_vram) / size) : 0;
  return gpu === 0 ? "100% CPU" : gpu === 100 ? "100% GPU" : `${100 - gpu}%/${gpu}% CPU/GPU`;
}

/** `4 minutes from now`, in Ollama's way. */
function until(time: string): string {
  const seconds = Math.round((new Date(time).getTime() - Date.now()) / 1000);
  if (!(seconds > 0)) return "stopping";
  if (seconds > 366 * 86_400) return "for ever";
  const [count, unit] = seconds < 90
    ? [seconds, "second"]
    : seconds < 5400
    ? [Math.round(seconds / 60), "minute"]
    : [Math.round(seconds / 3600), "hour"];
  return `${plural(count, unit)} from now`;
}
