/** The model that an agent is to use: one that is here and can call tools. */
import { readError } from "../../api/errors.ts";
import { isSameModel } from "../../api/model_name.ts";
import { ROUTES } from "../../api/routes.ts";
import { SecLlamaError } from "../../errors.ts";
import { showWork } from "../chat/work_sign.ts";
import type { CommandContext } from "../command.ts";
import type { Target } from "./agents.ts";
import type { ProxyHandle } from "./proxy.ts";
import { plural } from "../../plural.ts";

/** An agent's first request alone has some twenty thousand. */
const ENOUGH_TOKENS = 32_768;

/**
 * @param asked Absent: the only model that can call tools.
 * @throws {SecLlamaError} `model-not-found`, `usage` if there are several, `bad-model` if it cannot call tools or its context is
 *   too small.
 */
export async function chooseModel(
  proxy: ProxyHandle,
  asked: string | undefined,
  context: Pick<CommandContext, "tui" | "signal">,
): Promise<Omit<Target, "folder">> {
  const { signal } = context;
  const model = asked ?? await onlyOne(proxy, signal);
  if (!(await look(proxy, model, signal)).tools) {
    throw new SecLlamaError("bad-model", `${model} cannot call tools, which an agent needs`, {
      hint: "choose one whose capabilities have tools: secllama show MODEL",
    });
  }
  const contextLength = await loadedContext(proxy, model, context);
  if (contextLength < ENOUGH_TOKENS) {
    throw new SecLlamaError(
      "bad-model",
      `${model} has a context of ${
        plural(contextLength, "token")
      } here, an agent needs ${ENOUGH_TOKENS}`,
      {
        hint:
          "the model, the memory (SECLLAMA_MAX_MEMORY) or --context-length of serve allows no more",
      },
    );
  }
  return { url: proxy.url, model, contextLength };
}

/** Loads the model with what an agent needs, and asks what it got. */
async function loadedContext(
  proxy: ProxyHandle,
  model: string,
  { tui, signal }: Pick<CommandContext, "tui" | "signal">,
): Promise<number> {
  const body = JSON.stringify({ model, options: { num_ctx: ENOUGH_TOKENS } });
  const stopSign = showWork(tui, model, proxy.post, signal);
  try {
    const loaded = await proxy.post(ROUTES.generate.path, body, signal);
    if (!loaded.ok) throw await readError(loaded);
    await loaded.body?.cancel();
  } finally {
    stopSign();
  }
  const response = await proxy.post(ROUTES.ps.path, undefined, signal);
  if (!response.ok) throw await readError(response);
  const { models } = await response.json() as {
    models: { name: string; context_length: number }[];
  };
  return models.find(({ name }) => isSameModel(model, name))?.context_length ?? 0;
}

async function onlyOne(proxy: ProxyHandle, signal: AbortSignal): Promise<string> {
  const response = await proxy.post(ROUTES.tags.path, undefined, signal);
  if (!response.ok) throw await readError(response);
  const { models } = await response.json() as { models: { name: string }[] };
  const able: string[] = [];
  for (const { name } of models) {
    if ((await look(proxy, name, signal)).tools) able.push(name.replace(/:latest$/, ""));
  }
  const [only, second] = able;
  if (only !== undefined && second === undefined) return only;
  throw only === undefined
    ? new SecLlamaError("model-not-found", "no model that is here can call tools", {
      hint: "to get one: secllama pull MODEL, or secllama import FILE",
    })
    : new SecLlamaError("usage", `several models can call tools: ${able.slice(0, 8).join(", ")}`, {
      field: "--model",
      hint: "choose one: --model NAME",
    });
}

async function look(proxy: ProxyHandle, model: string, signal: AbortSignal) {
  const body = JSON.stringify({ model });
  const response = await proxy.post(ROUTES.show.path, body, signal);
  if (!response.ok) throw await readError(response);
  const shown = await response.json() as { capabilities?: string[] };
  return { tools: shown.capabilities?.includes("tools") ?? false };
}
