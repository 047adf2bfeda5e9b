/** Asks the `serve` that runs on this machine, through its proxy on loopback. */
import { readError } from "../../api/errors.ts";
import { JSON_TYPE } from "../../api/media_types.ts";
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
  const { config } = await readSettings(context);
  const host = askedProxy(config);
  const ask = async (path: string, body?: object): Promise<unknown> => {
    let answer: Response;
    try {
      answer = await fetch(`http://${host}${path}`, {
        signal: context.signal,
        redirect: "error",
        ...(body === undefined ? {} : {
          method: "POST",
          headers: { "content-type": JSON_TYPE },
          body: JSON.stringify(body),
        }),
      });
    } catch (cause) {
      if (context.signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
      throw new SecLlamaError("gateway-unreachable", `nothing runs on ${host}`, {
        hint: "to start it: secllama serve; if it has another port: --proxy-port",
        cause,
      });
    }
    if (!answer.ok) throw await readError(answer);
    return await answer.json().catch(() => ({}));
  };
  return {
    async models() {
      const { models } = Object(await ask(ROUTES.ps.path)) as { models?: RunningModel[] };
      if (Array.isArray(models)) return models;
      throw new SecLlamaError("gateway-unreachable", `what runs on ${host} is not SecLlama`);
    },
    async unload(name) {
      // As `ollama stop` does. Sealed by the proxy, as every request about a model is.
      await ask(ROUTES.generate.path, { model: name, prompt: "", keep_alive: 0, stream: false });
    },
  };
}
