/**
 * What llama-server is started with, carried over to a running SecLlama: a model of the name that the alias gives, with the
 * template and context asked for, and a listener on the port, which fills in what llama-server takes from its command line.
 * Answers are passed on as they are, but for `system_fingerprint`.
 */

import { resolve } from "node:path";

/** How llama-server was started. */
export interface Started {
  readonly port: number;
  readonly model: string;
  /** A Jinja template; undefined: the file's own. */
  readonly template: string | undefined;
  /** Tokens of one conversation. */
  readonly contextLength: number | undefined;
  readonly isStories: boolean;
  /** What a request gets that does not say otherwise. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

/**
 * Reads its arguments.
 * @param folder That it was started in.
 * @param templateOf A built-in template's text by its name.
 */
export function readArguments(
  args: readonly string[],
  folder: string,
  templateOf: (nameOrText: string) => string,
): Started {
  const value = (flag: string): string | undefined =>
    args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined;
  const number = (flag: string) => value(flag) === undefined ? undefined : Number(value(flag));
  const file = value("--chat-template-file");
  const named = value("--chat-template");
  const slots = number("--parallel") ?? 1;
  const context = number("--ctx-size");
  const predict = number("--n-predict");
  return {
    port: Number(value("--port")),
    model: (value("--alias") ?? "stories").toLowerCase(),
    template: file !== undefined
      ? Deno.readTextFileSync(resolve(folder, file))
      : named === undefined
      ? undefined
      : templateOf(named),
    contextLength: context === undefined ? undefined : Math.floor(context / slots),
    isStories: (value("--hf-repo") ?? "").includes("stories260K"),
    defaults: {
      ...OWN_SAMPLING,
      // Its debugging output has each answer's prompt.
      ...(args.includes("-v") || args.includes("--verbose") ? { verbose: true } : {}),
      temperature: number("--temp"),
      seed: number("--seed"),
      ...(predict === undefined ? {} : { max_tokens: predict }),
      // What llama-server then tells templates by itself.
      ...(value("--reasoning") === "off"
        ? { chat_template_kwargs: { enable_thinking: false } }
        : {}),
    },
  };
}

/** What llama-server samples with where it is told nothing else: `common_params_sampling` of its common/common.h. */
const OWN_SAMPLING = { top_k: 40, top_p: 0.95, min_p: 0.05, repeat_penalty: 1 };

const LIMITS = ["max_tokens", "max_completion_tokens", "n_predict", "max_output_tokens"];

/** Serves on its port until it is stopped. */
export function relay(started: Started, proxyUrl: string): Deno.HttpServer {
  const listen = { hostname: "127.0.0.1", port: started.port, onListen: () => {} };
  return Deno.serve(listen, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/health" || pathname === "/v1/health") {
      return Response.json({ status: "ok" });
    }
    const path = /^\/(?:chat\/completions|responses|rerank)/.test(pathname)
      ? `/v1${pathname}`
      : pathname;
    const text = request.body ? await request.text() : "";
    const answer = await fetch(proxyUrl + path, {
      method: request.method,
      headers: request.body ? { "content-type": "application/json" } : {},
      ...(request.body ? { body: filledIn(text, started) } : {}),
      signal: request.signal,
    });
    // Its tests look there for the number of its build.
    const renamed = new TransformStream<string, string>({
      transform: (text, controller) =>
        controller.enqueue(text.replaceAll("fp_secllama", "b0-secllama")),
    });
    const body = answer.body?.pipeThrough(new TextDecoderStream()).pipeThrough(renamed)
      .pipeThrough(new TextEncoderStream()) ?? null;
    const type = answer.headers.get("content-type") ?? "application/json";
    return new Response(body, { status: answer.status, headers: { "content-type": type } });
  });
}

function filledIn(text: string, { defaults, model }: Started): string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return text;
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return text;
  const asked = body as Record<string, unknown>;
  const { max_tokens, ...others } = defaults;
  const limited = LIMITS.some((name) => name in asked);
  return JSON.stringify({
    ...others,
    ...(limited || max_tokens === undefined ? {} : { max_tokens }),
    ...asked,
    model,
  });
}
