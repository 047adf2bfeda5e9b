/**
 * `secllama run MODEL [PROMPT]`: one answer to the terminal, or a conversation. Speaks plaintext to the proxy on loopback,
 * which seals; the prompt comes from the terminal, standard input or argv as the user chose (argv is visible to others of the same
 * machine's users on some systems: help says so).
 */
import { fstatSync } from "node:fs";
import { EXIT, SecLlamaError } from "../errors.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";
import { type SealedFetch, sealedFetch } from "../client/mod.ts";
import { listenerUids, ownUid } from "../http/peer.ts";
import { listPairings } from "../keys/mod.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { descriptor, KEY_OPTIONS } from "./key_options.ts";
import { pairedGateway, PAIRING_OPTIONS } from "./pairings.ts";
import { ASKED_PROXY_OPTION, askedProxy, readSettings } from "./settings.ts";

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
    ...ASKED_PROXY_OPTION,
    system: { type: "string", value: "TEXT", help: "a system message" },
    temperature: { type: "string", value: "NUMBER", help: "0 is greedy" },
    seed: { type: "string", value: "NUMBER", help: "repeatable sampling" },
    "num-predict": { type: "string", value: "TOKENS", help: "longest answer" },
    ...KEY_OPTIONS,
    use: PAIRING_OPTIONS.use,
  },
  details:
    `Without PROMPT, the prompt is read from standard input; on a terminal, a conversation begins (Ctrl-D or /bye ends it, Ctrl-C
only the answer, /? shows the rest). With PROMPT, a file or pipe on standard input comes before it: run MODEL "Sum this up" <FILE.
A prompt given as an argument can be seen by other programs of this machine while the command runs.
It asks the proxy on loopback; where none runs and this machine is paired with a gateway, it seals by itself.`,
  async run(context) {
    const { config, dataDir } = await readSettings(context);
    const post = await makePost(context, dataDir, `http://${askedProxy(config)}`);
    const [model, prompt] = context.positionals;
    const options = numberOptions(context);
    const messages: Message[] = [];
    const system = stringOption(context, "system");
    if (system !== undefined) messages.push({ role: "system", content: system });
    const ask: Ask = async (text, signal) => {
      messages.push({ role: "user", content: text });
      let answer = "";
      try {
        await chat(context, post, { model: model!, messages, options }, signal, (piece) => {
          answer += piece;
        });
      } finally {
        // What was shown is part of the conversation, an answer that ended early too.
        if (answer === "") messages.pop();
        else messages.push({ role: "assistant", content: answer });
      }
    };
    if (prompt === undefined && Deno.stdin.isTerminal()) {
      await converse(context, ask, () => {
        messages.length = system === undefined ? 0 : 1;
      });
      return EXIT.ok;
    }
    const input = prompt === undefined || await hasInput(context)
      ? await readStdin(context.signal)
      : "";
    const text = [input.trimEnd(), prompt ?? ""].filter((part) => part !== "").join("\n\n");
    if (text === "") {
      throw new SecLlamaError("usage", "the prompt is empty", {
        hint: "give it as an argument or on standard input",
      });
    }
    await ask(text, context.signal);
    return EXIT.ok;
  },
};

type Ask = (text: string, signal: AbortSignal) => Promise<void>;

/** Asks until the input ends. An error or Ctrl-C ends one answer, not the conversation. */
async function converse(context: CommandContext, ask: Ask, clear: () => void): Promise<void> {
  const { tui } = context;
  let answer = new AbortController();
  let over = false;
  const interrupt = () => answer.abort();
  const end = () => {
    over = true;
    answer.abort();
  };
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", end);
  try {
    while (!over) {
      const line = tui.ask(">>>")?.trim();
      if (line === undefined || line === "/bye" || line === "/exit") break;
      if (line === "/?" || line === "/help") tui.note("/clear  forget what was said\n/bye    end");
      else if (line === "/clear") clear();
      else if (/^\/[a-z]+$/.test(line)) tui.note("There is no such command; /? shows all.");
      else if (line !== "") {
        answer = new AbortController();
        await ask(line, answer.signal).catch((error) => {
          if (answer.signal.aborted) tui.write("\n");
          else tui.error(error);
        });
      }
    }
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    Deno.removeSignalListener("SIGTERM", end);
  }
}

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

type Post = (path: string, body: string, signal: AbortSignal) => Promise<Response>;

/** To the proxy; or, where there is none and this machine is paired, sealed from here. */
async function makePost(context: CommandContext, dataDir: string, base: string): Promise<Post> {
  const init = (body: string, signal: AbortSignal) => ({
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal,
  });
  const named = stringOption(context, "use") !== undefined;
  if (!named && (await listPairings(dataDir)).every((gateway) => !gateway.current)) {
    return (path, body, signal) => viaProxy(base, path, init(body, signal), signal);
  }
  let sealed: SealedFetch | undefined;
  const direct: Post = async (path, body, signal) => {
    if (sealed === undefined) {
      hardenSelf(); // before a key is in memory
      sealed = sealedFetch((await pairedGateway(context, dataDir))!);
    }
    return await sealed(path, init(body, signal));
  };
  if (named) return direct;
  return async (path, body, signal) => {
    if (sealed !== undefined) return await direct(path, body, signal);
    try {
      return await viaProxy(base, path, init(body, signal), signal);
    } catch (error) {
      if (!(error instanceof SecLlamaError) || error.code !== "gateway-unreachable") throw error;
      return await direct(path, body, signal);
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
  signal: AbortSignal,
  onPiece: (text: string) => void,
): Promise<void> {
  const json = flag(context, "json");
  const response = await post("/api/chat", JSON.stringify({ ...body, stream: !json }), signal);
  if (!response.ok) throw await answerError(response);
  if (json) {
    const answer = await response.json();
    context.tui.json(answer);
    onPiece(answer.message?.content ?? "");
    return;
  }
  for await (const line of lines(response.body!)) {
    const event = JSON.parse(line);
    if (typeof event.error === "string") {
      throw new SecLlamaError("internal", "the answer was cut short");
    }
    const piece = event.message?.content ?? "";
    onPiece(piece);
    context.tui.write(piece);
  }
  context.tui.write("\n");
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

/** Whether standard input is a file or a pipe of text; not the socket or null device of a service, nor a key. */
function hasInput(context: CommandContext): boolean {
  if (["key-fd", "passphrase-fd"].some((name) => descriptor(context, name) === 0)) return false;
  try {
    const info = fstatSync(0);
    return info.isFIFO() || info.isFile();
  } catch {
    return false; // it is closed
  }
}

/** Its whole text. @throws {SecLlamaError} `cancelled` */
async function readStdin(signal: AbortSignal): Promise<string> {
  const parts = new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>;
  let text = "";
  try {
    for await (const part of Deno.stdin.readable.pipeThrough(parts, { signal })) text += part;
  } catch (error) {
    if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
    throw error;
  }
  return text;
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
