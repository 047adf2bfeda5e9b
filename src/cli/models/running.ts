/** Asks the `serve` that runs on this machine, through its proxy on loopback; or the gateway that this machine is paired with. */
import { askLocalProxy } from "../../app/local_proxy.ts";
import { readError } from "../../api/errors.ts";
import { ROUTES } from "../../api/routes.ts";
import { MAY_HEADER } from "../../api/texts.ts";
import { SecLlamaError } from "../../errors.ts";
import type { CommandContext } from "../command.ts";
import { askedProxy, readSettings } from "../settings.ts";
import { type PairedModels, pairedModels } from "./paired.ts";

export interface RunningModel {
  readonly name: string;
  readonly digest: string;
  /** Bytes in memory, by estimate, and of these in a GPU's. */
  readonly size: number;
  readonly size_vram: number;
  readonly expires_at: string;
  readonly context_length: number;
  /** The label of another host of the fleet that has it loaded. */
  readonly host?: string;
}

interface RunningServe {
  /** The models that are loaded. */
  models(): Promise<RunningModel[]>;
  /** Unloads one as soon as nothing uses it. @throws {SecLlamaError} `management-refused` if this machine may not. */
  unload(name: string): Promise<void>;
}

/** What unloads a model once it has answered, as `ollama stop` does; sealed, as every request about a model is. */
const unloading = (model: string) => ({ model, prompt: "", keep_alive: 0, stream: false });

function modelsOf(answer: unknown): RunningModel[] {
  const { models } = Object(answer) as { models?: RunningModel[] };
  if (Array.isArray(models)) return models;
  throw new SecLlamaError("internal", "the list of models is none");
}

/** The gateway that this machine is paired with. */
function pairedServe(paired: PairedModels): RunningServe {
  let may = false;
  return {
    async models() {
      const { answer, headers } = await paired.metadata(ROUTES.ps.path);
      may = headers.get(MAY_HEADER) === "stop";
      return modelsOf(answer);
    },
    async unload(name) {
      if (!may) {
        throw new SecLlamaError(
          "management-refused",
          `this machine may ask the models of ${paired.at}, and not stop them`,
          {
            hint: "others may be using them; to let it, on the host: " +
              "secllama pair NAME --replace --may-stop --url …",
          },
        );
      }
      await paired.sealed(ROUTES.generate.path, unloading(name));
    },
  };
}

/** @throws {SecLlamaError} `bad-config`; its methods: `gateway-unreachable` if nothing runs there. */
export async function runningServe(context: CommandContext): Promise<RunningServe> {
  const paired = await pairedModels(context);
  if (paired !== undefined) return pairedServe(paired);
  const proxy = askedProxy(await readSettings(context), context);
  const ask = async (path: string, body?: object): Promise<unknown> => {
    const answer = await askLocalProxy(proxy, {
      method: body === undefined ? "GET" : "POST",
      path,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: context.signal,
    });
    if (!answer.ok) throw await readError(answer);
    return await answer.json().catch(() => ({}));
  };
  return {
    async models() {
      return modelsOf(await ask(ROUTES.ps.path));
    },
    async unload(name) {
      await ask(ROUTES.generate.path, unloading(name));
    },
  };
}
