/** Asks the `serve` that runs on this machine, through its proxy on loopback. */
import { askLocalProxy } from "../../app/local_proxy.ts";
import { readError } from "../../api/errors.ts";
import { ROUTES } from "../../api/routes.ts";
import { SecLlamaError } from "../../errors.ts";
import type { CommandContext } from "../command.ts";
import { askedProxy, readSettings } from "../settings.ts";

export interface RunningModel {
  readonly name: string;
  readonly digest: string;
  /** Bytes in memory, by estimate, and of these in a GPU's. */
  readonly size: number;
  readonly size_vram: number;
  readonly expires_at: string;
  readonly context_length: number;
}

export interface RunningServe {
  /** The models that are loaded. */
  models(): Promise<RunningModel[]>;
  /** Unloads one as soon as nothing uses it. */
  unload(name: string): Promise<void>;
}

/** @throws {SecLlamaError} `bad-config`; its methods: `gateway-unreachable` if nothing runs there. */
export async function runningServe(context: CommandContext): Promise<RunningServe> {
  const proxy = askedProxy(await readSettings(context));
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
      const { models } = Object(await ask(ROUTES.ps.path)) as { models?: RunningModel[] };
      if (Array.isArray(models)) return models;
      throw new SecLlamaError("internal", "the proxy's list of models is none");
    },
    async unload(name) {
      // As `ollama stop` does. Sealed by the proxy, as every request about a model is.
      await ask(ROUTES.generate.path, { model: name, prompt: "", keep_alive: 0, stream: false });
    },
  };
}
