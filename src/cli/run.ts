/**
 * `secllama run MODEL [PROMPT]`: one answer to the terminal, or a conversation. Asks the proxy on loopback, which seals, or a
 * paired gateway, sealed from here. The prompt comes from the terminal, standard input or argv, as the user chose.
 */
import { fstatSync } from "node:fs";
import { readError } from "../api/errors.ts";
import { ROUTES } from "../api/routes.ts";
import { durationMs } from "../duration.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { answerTo, converse } from "./chat/converse.ts";
import { imagesOf, MAX_TEXT_BYTES, takePictures, textFile } from "./chat/files.ts";
import { makePost } from "./chat/post.ts";
import { type Message, Session, type Settings } from "./chat/session.ts";
import { formatOf, type Think } from "./chat/slash.ts";
import { showWork } from "./chat/work_sign.ts";
import { sees, surroundings } from "./chat/surroundings.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";
import { descriptor, KEY_OPTIONS } from "./key_options.ts";
import { PAIRING_OPTIONS } from "./pairings.ts";
import { takeUpTo } from "../read_up_to.ts";
import { ASKED_PROXY_OPTION, askedProxy, readSettings } from "./settings.ts";

/** Options of a request: flag → name in the API. */
const NUMBERS = { temperature: "temperature", seed: "seed", "num-predict": "num_predict" } as const;

export const runCommand: Command = {
  path: ["run"],
  endsWithItsReader: true,
  example: 'secllama run demo "Where are my keys?"',
  summary: "Ask a model, and stream its answer to the terminal",
  arguments: "MODEL [PROMPT…]",
  minPositionals: 1,
  maxPositionals: Infinity,
  options: {
    ...JSON_OPTION,
    ...ASKED_PROXY_OPTION,
    system: { type: "string", value: "TEXT", help: "a system message" },
    temperature: { type: "string", value: "NUMBER", help: "0 is greedy" },
    seed: { type: "string", value: "NUMBER", help: "repeatable sampling" },
    "num-predict": { type: "string", value: "TOKENS", help: "longest answer" },
    format: { type: "string", value: "json|SCHEMA", help: "answers are JSON, of this schema" },
    think: { type: "string", value: "LEVEL", help: "true, false, low, medium or high" },
    keepalive: { type: "string", value: "DURATION", help: "how long the model stays loaded" },
    file: {
      type: "string",
      value: "PATH",
      multiple: true,
      help: "a text, PDF or DOCX before the prompt",
    },
    image: {
      type: "string",
      value: "PATH",
      multiple: true,
      help: "a picture with the prompt, or a scanned PDF",
    },
    save: { type: "boolean", help: "keep the conversation in the sealed history" },
    nowordwrap: { type: "boolean", help: "do not break lines at words" },
    verbose: { type: "boolean", help: "counts and times after each answer" },
    ...KEY_OPTIONS,
    use: PAIRING_OPTIONS.use,
  },
  details:
    `Without PROMPT, the prompt is read from standard input; on a terminal, a conversation begins (Ctrl-D or /bye ends it, Ctrl-C
only the answer, /? shows the rest). With PROMPT, a file or pipe on standard input comes before it: run MODEL "Sum this up" <FILE.
A prompt given as an argument can be seen by other programs of this machine while the command runs.
It asks the proxy on loopback; where none runs and this machine is paired with a gateway, it seals by itself.`,
  async run(context) {
    const settings = await readSettings(context);
    const { tui, signal } = context;
    const post = await makePost(context, askedProxy(settings, context));
    const [model, ...words] = context.positionals;
    const prompt = words.join(" ");
    const session = new Session(model!, sessionSettings(context));
    using keeper = flag(context, "save")
      ? await (await import("./chat/keep.ts")).openKeeper(context)
      : undefined;
    const keep = keeper?.keep;
    const files = await Promise.all(listOption(context, "file").map(textFile));
    const images: string[] = [];
    for (const path of listOption(context, "image")) images.push(...await imagesOf(path, tui.note));
    if (
      words.length === 0 && files.length === 0 && images.length === 0 && Deno.stdin.isTerminal()
    ) {
      const around = await surroundings(context, post, settings.dataDir, keep);
      // A name that is none, or a load that fails, is said before anything is typed.
      await around.load(model!, session.settings.keepAlive, signal);
      await converse(around, session);
      return EXIT.ok;
    }
    const input = words.length === 0 && !Deno.stdin.isTerminal() || await hasInput(context)
      ? await readStdin(signal)
      : "";
    const given = listOption(context, "image");
    const { text, images: named } = await takePictures(prompt, {
      home: context.env["HOME"],
      how: "--image",
      given,
      sees: () => sees(post, model!, signal),
      note: tui.note,
    });
    images.push(...named);
    const content = [...files, input.trimEnd(), text].filter((part) => part !== "").join("\n\n");
    if (content === "" && images.length === 0) {
      throw new SecLlamaError("usage", "the prompt is empty", {
        hint: "give it as an argument or on standard input",
      });
    }
    const message: Message = {
      role: "user",
      content,
      ...(images.length > 0 ? { images } : {}),
    };
    if (flag(context, "json")) {
      const body = JSON.stringify({ ...session.bodyFor(message), stream: false });
      const stopSign = showWork(tui, model!, post, signal);
      const response = await post(ROUTES.chat.path, body, signal).finally(stopSign);
      if (!response.ok) throw await readError(response);
      const answer = await response.json();
      tui.json(answer);
      await keep?.(message, String(answer.message?.content ?? ""), session);
      return EXIT.ok;
    }
    const around = { tui, post, ...(keep === undefined ? {} : { keep }) };
    await answerTo(message, around, session, signal);
    return EXIT.ok;
  },
};

/** @throws {SecLlamaError} `usage` for a value that is none. */
function sessionSettings(context: CommandContext): Settings {
  const system = stringOption(context, "system");
  const format = stringOption(context, "format");
  const think = stringOption(context, "think");
  const keepAlive = stringOption(context, "keepalive");
  if (think !== undefined && !["true", "false", "low", "medium", "high"].includes(think)) {
    throw new SecLlamaError("usage", "--think must be true, false, low, medium or high", {
      field: "--think",
      hint: "for instance: --think false",
    });
  }
  return {
    options: numberOptions(context),
    verbose: flag(context, "verbose"),
    wordWrap: !flag(context, "nowordwrap"),
    ...(system === undefined ? {} : { system }),
    ...(format === undefined ? {} : { format: formatOf(format) }),
    ...(think === undefined
      ? {}
      : { think: think === "true" || think === "false" ? think === "true" : think as Think }),
    ...(keepAlive === undefined ? {} : { keepAlive: keepAliveOf(keepAlive) }),
  };
}

/** Seconds, or a duration, as the API takes it. @throws {SecLlamaError} `usage`. */
function keepAliveOf(text: string): string | number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  if (durationMs(text) !== undefined) return text;
  throw new SecLlamaError("usage", `--keepalive: ${JSON.stringify(text)} is not a duration`, {
    field: "--keepalive",
    hint: "write it like 5m or 1h30m; 0 lets the model go at once, -1s keeps it",
  });
}

function listOption(context: CommandContext, name: string): string[] {
  const value = context.values[name];
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

function numberOptions(context: CommandContext): Record<string, number> {
  const out: Record<string, number> = {};
  for (const [flagName, name] of Object.entries(NUMBERS)) {
    const text = stringOption(context, flagName);
    if (text === undefined) continue;
    const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
    if (Number.isNaN(value)) {
      throw new SecLlamaError("usage", `--${flagName} must be a number`, {
        field: `--${flagName}`,
        hint: "write it with digits and a point, as in: --temperature 0.2",
      });
    }
    out[name] = value;
  }
  return out;
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

/** Its whole text. @throws {SecLlamaError} `cancelled`; `usage` for what is no text, or has no end. */
async function readStdin(signal: AbortSignal): Promise<string> {
  const input = Deno.stdin.readable.pipeThrough(new TransformStream(), { signal });
  try {
    const bytes = await takeUpTo(input, MAX_TEXT_BYTES);
    if (bytes.length > MAX_TEXT_BYTES) {
      throw new SecLlamaError(
        "usage",
        `standard input has more than ${MAX_TEXT_BYTES} bytes, and no more can be part of a message`,
        { hint: "give a part of it" },
      );
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
    if (!(error instanceof TypeError)) throw error;
    throw new SecLlamaError("usage", "standard input is not text in UTF-8", {
      hint: "convert it (iconv -t UTF-8); a picture is given with --image FILE",
    });
  }
}
