/**
 * `secllama run MODEL [PROMPT]`: one answer to the terminal, or a conversation. Speaks plaintext to the proxy on loopback,
 * which seals; the prompt comes from the terminal, standard input or argv as the user chose (argv is visible to others of the same
 * machine's users on some systems: help says so).
 */
import { EXIT, SecLlamaError } from "../errors.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";
import { type SealedFetch, sealedFetch } from "../client/mod.ts";
import { listenerUids, ownUid } from "../http/peer.ts";
import { listPairings } from "../keys/mod.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { KEY_OPTIONS } from "./key_options.ts";
import { pairedGateway, PAIRING_OPTIONS } from "./pairings.ts";
import { readSettings, SETTING_OPTIONS } from "./settings.ts";

interface Message {
  role: "user" | "assistant" | "system";
  content: string;
}

export const runCommand: Command = {
  path: ["run"],
  summary: "Ask a model, and stream its answer to the terminal",
  arguments: "MODEL [PROMPT]",
  minPositionals: 1,
  maxPositionals: 2,
  options: {
    ...JSON_OPTION,
    "proxy-port": SETTING_OPTIONS["proxy-port"]!,
    system: { type: "string", value: "TEXT", help: "a system message" },
    temperature: { type: "string", value: "NUMBER", help: "0 is greedy" },
    seed: { type: "string", value: "NUMBER", help: "repeatable sampling" },
    "num-predict": { type: "string", value: "TOKENS", help: "longest answer" },
    ...KEY_OPTIONS,
    use: PAIRING_OPTIONS.use,
  },
  details:
    `Without PROMPT, the prompt is read from standard input; on a terminal, a conversation begins (Ctrl-D ends it).
A prompt given as an argument can be seen by other programs of this machine while the command runs.
It asks the proxy on loopback; where none runs and this machine is paired with a gateway, it seals by itself.`,
  async run(context) {
    const { config, dataDir } = await readSettings(context);
    const post = await makePost(context, dataDir, `http://127.0.0.1:${config.proxyPort}`);
    const [model, prompt] = context.positionals;
    const options = numberOptions(context);
    const messages: Message[] = [];
    const system = stringOption(context, "system");
    if (system !== undefined) messages.push({ role: "system", content: system });
    const ask = async (text: string) => {
      messages.push({ role: "user", content: text });
      const answer = await chat(context, post, { model: model!, messages, options });
      messages.push({ role: "assistant", content: answer });
    };
    if (prompt !== undefined) await ask(prompt);
    else if (!Deno.stdin.isTerminal()) await ask((await readStdin()).trimEnd());
    else {
      for (;;) {
        const line = context.tui.ask(">>>");
        if (line === undefined || context.signal.aborted) break;
        if (line.trim() !== "") await ask(line);
      }
    }
    return EXIT.ok;
  },
};

function numberOptions(context: CommandContext): Record<string, number> {
  const out: Record<string, number> = {};
  for (
    const [flagName, name] of [["temperature", "temperature"], ["seed", "seed"], [
      "num-predict",
      "num_predict",
    ]]
  ) {
    const text = stringOption(context, flagName!);
    if (text === undefined) continue;
    const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
    if (Number.isNaN(value)) {
      throw new SecLlamaError("usage", `--${flagName} must be a number`, {
        field: `--${flagName}`,
      });
    }
    out[name!] = value;
  }
  return out;
}

type Post = (path: string, body: string) => Promise<Response>;

/** To the proxy; or, where there is none and this machine is paired, sealed from here. */
async function makePost(context: CommandContext, dataDir: string, base: string): Promise<Post> {
  const init = (body: string) => ({
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal: context.signal,
  });
  const { signal } = context;
  const named = stringOption(context, "use") !== undefined;
  if (!named && (await listPairings(dataDir)).every((gateway) => !gateway.current)) {
    return (path, body) => viaProxy(base, path, init(body), signal);
  }
  let sealed: SealedFetch | undefined;
  const direct: Post = async (path, body) => {
    if (sealed === undefined) {
      hardenSelf(); // before a key is in memory
      sealed = sealedFetch((await pairedGateway(context, dataDir))!);
    }
    return await sealed(path, init(body));
  };
  if (named) return direct;
  return async (path, body) => {
    if (sealed !== undefined) return await direct(path, body);
    try {
      return await viaProxy(base, path, init(body), signal);
    } catch (error) {
      if (!(error instanceof SecLlamaError) || error.code !== "gateway-unreachable") throw error;
      return await direct(path, body);
    }
  };
}

async function viaProxy(
  base: string,
  path: string,
  init: RequestInit,
  signal: AbortSignal,
): Promise<Response> {
  refuseOthersProxy(base);
  try {
    return await fetch(base + path, init);
  } catch (cause) {
    if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
    throw new SecLlamaError("gateway-unreachable", `no proxy answers on ${base.slice(7)}`, {
      hint: "to start one, run: secllama serve",
      cause,
    });
  }
}

/**
 * While no proxy of ours runs, any user of the machine may listen on its port, and what is sent there is not sealed yet.
 * @throws {SecLlamaError} `peer-refused`.
 */
function refuseOthersProxy(base: string): void {
  if (Deno.build.os !== "linux") return;
  const { port, host } = new URL(base);
  if (listenerUids(Number(port)).every((uid) => uid === ownUid())) return;
  throw new SecLlamaError("peer-refused", `another user's program listens on ${host}`, {
    hint: "nothing was sent to it; run your own on another port: secllama serve --proxy-port=N",
  });
}

async function chat(
  context: CommandContext,
  post: Post,
  body: { model: string; messages: Message[]; options: Record<string, number> },
): Promise<string> {
  const json = flag(context, "json");
  const response = await post("/api/chat", JSON.stringify({ ...body, stream: !json }));
  if (!response.ok) throw await answerError(response);
  if (json) {
    const answer = await response.json();
    context.tui.json(answer);
    return answer.message?.content ?? "";
  }
  let text = "";
  for await (const line of lines(response.body!)) {
    const event = JSON.parse(line);
    if (typeof event.error === "string") {
      throw new SecLlamaError("internal", "the answer was cut short");
    }
    const piece = event.message?.content ?? "";
    text += piece;
    context.tui.write(piece);
  }
  context.tui.write("\n");
  return text;
}

/** The proxy's error as ours. Its text is from our own table: names and limits, never content. */
async function answerError(response: Response): Promise<SecLlamaError> {
  const body = await response.json().catch(() => ({})) as { error?: unknown; hint?: unknown };
  const message = typeof body.error === "string"
    ? body.error
    : `the proxy answered ${response.status}`;
  const code = response.status === 404
    ? "model-not-found"
    : response.status === 400
    ? "bad-request"
    : response.status === 503
    ? "busy"
    : "model-failed";
  return new SecLlamaError(code, message, {
    ...(typeof body.hint === "string"
      ? { hint: body.hint }
      : code === "model-not-found"
      ? { hint: "to see the models, run: secllama list" }
      : {}),
  });
}

async function readStdin(): Promise<string> {
  return await new Response(Deno.stdin.readable).text();
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (
    const part of body.pipeThrough(
      new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>,
    )
  ) {
    const pieces = (rest + part).split("\n");
    rest = pieces.pop()!;
    for (const piece of pieces) if (piece !== "") yield piece;
  }
  if (rest !== "") yield rest;
}
