/** The {@link Service}: a request of any dialect to the engine, and the engine's tokens to reply events. */
import { modelRequired } from "../../src/api/body.ts";
import { isSameModel } from "../../src/api/model_name.ts";
import { modelNotFoundText } from "../../src/api/texts.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type {
  ContextShift,
  Engine,
  GenerateEvent,
  ThoughtLimit,
  TokenLogprob,
} from "../engine/types.ts";
import type { Turns } from "../turns.ts";
import { jsonPieces } from "../json_work.ts";
import { Fields } from "./fields.ts";
import { jsonResponse } from "./stream.ts";
import { embed } from "./embed.ts";
import { callSyntax } from "./call_syntax.ts";
import { buildGrammar, type Thought } from "./grammar.ts";
import { type ModelTemplate, modelTemplate } from "./model_template.ts";
import { DEFAULT_OPTIONS, parseOptions } from "./options.ts";
import { buildPrompt, contextLimit, countPrompt, promptText, textTokens } from "./prompt.ts";
import { elapsedNs, loadNs, TokenTimes, toNs } from "./timing.ts";
import { Pictures } from "./pictures.ts";
import { rank } from "./rank.ts";
import { ReplyParser } from "./reply_parser.ts";
import { SoFar } from "./so_far.ts";
import type {
  Call,
  CollectedReply,
  InferenceRequest,
  Logprob,
  ModelDefaults,
  NamedToolCall,
  Reply,
  ReplyEvent,
  Service,
  Think,
  TokenLogprobs,
  Usage,
} from "./request.ts";

/** Contexts that a reply may fill, one after another. */
const MOST_CONTEXTS = 10;

interface ServiceOptions {
  readonly engine: Engine;
  /** Canonical name of the one model served here. */
  readonly model: string;
  readonly defaults: ModelDefaults;
  onKeepAlive(value: number | "forever", client: string): void;
  readonly templateCompletions?: boolean;
  /** Of all work on this thread. */
  readonly turns: Turns;
}

/** What all requests share. */
interface Inference extends ServiceOptions {
  readonly template: ModelTemplate;
}

/** @throws {SecLlamaError} `bad-request`: the defaults' options or template are wrong. */
export function makeService(options: ServiceOptions): Service {
  const { engine, defaults } = options;
  const o: Inference = {
    ...options,
    template: modelTemplate(engine.info, defaults),
  };
  const parameters = defaults.options === undefined
    ? undefined
    : Fields.of(defaults.options, "parameters");
  return {
    defaults,
    baseOptions: parseOptions(parameters, DEFAULT_OPTIONS),
    sees: engine.info.capabilities.includes("vision"),
    hears: engine.info.capabilities.includes("audio"),
    supportsThinking: o.template.capabilities.includes("thinking"),
    vocabularySize: engine.info.vocabularySize,
    templateCompletions: options.templateCompletions ?? false,
    checkModel(name) {
      if (name === undefined || name === "") {
        throw modelRequired();
      }
      if (!isSameModel(name, o.model)) {
        throw new SecLlamaError("model-not-found", modelNotFoundText(name), { field: "model" });
      }
      return name;
    },
    infer: (request, call) => infer(o, capped(request, call), call),
    embed: (request, call) => embed(o, request, call, loadNs(call)),
    rank: (request, call) => rank(o, request, call),
    async countTokens(request, call) {
      const think = askedThink(o.template, request, call);
      using pictures = await Pictures.read(engine, request, call);
      return await o.turns.run(countPrompt({ ...o, pictures }, request, think), call);
    },
    tokenize: ({ text, ...how }, call) => o.turns.run(textTokens(engine, text, how), call),
    detokenize: (tokens) => engine.detokenize(tokens),
    bytesOf: (token) => engine.bytesOf(token),
    async promptText(request, call) {
      const think = askedThink(o.template, request, call);
      using pictures = await Pictures.read(engine, request, call);
      return await o.turns.run(promptText({ ...o, pictures }, request, think), call);
    },
    inTurns: (work, call) => o.turns.run(work, call),
    json: (value, call) => jsonResponse(jsonPieces(value), (work) => o.turns.run(work, call)),
    keepAlive: o.onKeepAlive,
  };
}

/** Joins a reply's deltas. */
export async function collect(reply: Reply): Promise<CollectedReply> {
  let text = "", thinking = "";
  const toolCalls: NamedToolCall[] = [];
  const logprobs: TokenLogprobs[] = [];
  for await (const event of reply) {
    if (event.type === "delta") {
      text += event.text;
      thinking += event.thinking;
      for (const one of event.toolCalls) toolCalls.push(one);
      for (const one of event.logprobs) logprobs.push(one);
    } else if (event.type === "done") {
      return { text, thinking, toolCalls, logprobs, done: event };
    }
  }
  throw new SecLlamaError("model-failed", "the engine ended the reply without a result");
}

async function* infer(o: Inference, request: InferenceRequest, call: Call): Reply {
  const { engine, template } = o;
  const load = loadNs(call);
  const think = askedThink(template, request, call);
  call.notes.ignored.push(...ignoredOf(template, request));
  checkCapabilities(o, request);
  using pictures = await Pictures.read(engine, request, call);
  const prompt = await o.turns.run(buildPrompt({ ...o, pictures }, request, think), call);
  if (prompt.cut !== undefined) call.notes.cut = prompt.cut;
  const parser = new ReplyParser(engine, request, {
    think,
    promptTail: prompt.tail,
    template: template.source,
  });
  const syntax = callSyntax({
    calls: hasTools(request) ? template.writtenCalls() : undefined,
    source: template.source,
    promptTail: prompt.tail,
  });
  const grammar = await o.turns.run(buildGrammar(request, parser, syntax), call);
  // A call without a sign in front cannot be told from text before it is over, so nothing holds it to its schema.
  if (grammar === undefined && wantsStrict(request)) call.notes.ignored.push("tools.strict");
  const seen = pictures.in(prompt.tokens);
  // A picture stays whole, so that a reply to one ends where the context does.
  const shifts = request.shift === true && seen.length === 0;
  const maxTokens = shifts
    ? shiftingLimit(engine, request)
    : replyLimit(engine, request, prompt.tokens.length);
  // What is refused, for a full queue say, is so here, and an answer of its own; from here on it is begun.
  const events = engine.generate({
    prompt: prompt.tokens,
    client: call.client,
    maxTokens,
    pictures: seen,
    stop: request.options.stop,
    sampling: request.options.sampling,
    ...(request.options.logitBias === undefined ? {} : { logitBias: request.options.logitBias }),
    ...(grammar === undefined ? {} : { grammar }),
    ...(grammar === undefined
      ? {}
      : thoughtLimit(engine, parser, roomFor(engine, prompt, maxTokens))),
    ...(request.logprobs === undefined ? {} : { logprobs: request.logprobs }),
    ...(request.progress || request.timings ? { progress: true as const } : {}),
    ...(shifts ? { shift: shiftOf(engine, request, prompt.tokens.length) } : {}),
  }, call.signal)[Symbol.asyncIterator]();
  // The engine holds what it needs: megabytes, for as long as the reply takes.
  pictures[Symbol.dispose]();
  let ended = false;
  let made = 0;
  let told = false;
  const times = new TokenTimes(call);
  try {
    const soFar = new SoFar({ call, loadNs: load, promptTokens: prompt.tokens.length });
    const cost = () =>
      request.timings ? { soFar: soFar.usage(made, parser.thinkingTokens) } : undefined;
    yield { type: "start", promptTokens: prompt.tokens.length };
    for (let next = await events.next(); !next.done; next = await events.next()) {
      const event = next.value;
      if (event.type === "token") {
        made++;
        times.token();
        let logprobs = event.logprob === undefined ? [] : [tokenLogprobs(event)];
        for (const delta of parser.push(event)) {
          if (hasContent(delta) || logprobs.length > 0) {
            yield { type: "delta", ...delta, logprobs, ...cost() };
          }
          logprobs = [];
        }
      } else if (event.type === "progress") {
        const { type: _, ...progress } = event;
        const ms = soFar.prompt(progress);
        if (!request.progress) continue;
        yield { type: "start", promptTokens: event.total, progress: { ...progress, ms } };
      } else {
        ended = told = true;
        call.used?.({ prompt: event.promptTokens, reply: event.evalTokens, ...times.told() });
        for (const rest of parser.end(event.reason === "length")) {
          if (hasContent(rest)) yield { type: "delta", ...rest, logprobs: [], ...cost() };
        }
        yield doneEvent(event, parser, { load, call, prompt: prompt.tokens });
        return;
      }
    }
    ended = true;
  } finally {
    // Whoever leaves before the end has used it as well.
    if (!told) call.used?.({ prompt: prompt.tokens.length, reply: made, ...times.told() });
    if (!ended) await events.return?.();
  }
  // The engine's iteration ends without "done" only when it was cancelled.
  throw new SecLlamaError("cancelled", "the request was cancelled");
}

/** With no more tokens than the client's role lets a reply have; it ends as one does that reached the limit it asked for. */
function capped(request: InferenceRequest, { replyTokens = Infinity }: Call): InferenceRequest {
  const { options } = request;
  if (options.maxTokens >= 0 && options.maxTokens <= replyTokens) return request;
  if (replyTokens === Infinity) return request;
  return { ...request, options: { ...options, maxTokens: replyTokens } };
}

function hasContent(delta: { text: string; thinking: string; toolDeltas: readonly unknown[] }) {
  return delta.text !== "" || delta.thinking !== "" || delta.toolDeltas.length > 0;
}

function doneEvent(
  event: Extract<GenerateEvent, { type: "done" }>,
  parser: ReplyParser,
  { load, call, prompt }: { load: number; call: Call; prompt: Int32Array },
): ReplyEvent {
  const usage: Usage = {
    promptTokens: event.promptTokens,
    cachedTokens: event.cachedTokens,
    evalTokens: event.evalTokens,
    thinkingTokens: parser.thinkingTokens,
    totalNs: elapsedNs(call),
    loadNs: load,
    promptNs: toNs(event.promptMs),
    evalNs: toNs(event.evalMs),
  };
  return {
    type: "done",
    reason: event.reason,
    ...(event.stopSequence === undefined ? {} : { stopSequence: event.stopSequence }),
    calledTools: parser.calledTools,
    usage,
    context: event.context,
    contextPrompt: prompt.reduce((count, token) => token < 0 ? count : count + 1, 0),
  };
}

/** A request's own, smaller context is one that shifts, too. */
function shiftOf(engine: Engine, request: InferenceRequest, promptTokens: number): ContextShift {
  const { keepTokens } = request.options;
  return {
    keep: keepTokens < 0 ? promptTokens : keepTokens,
    window: contextLimit(engine, request),
  };
}

/** As Ollama bounds it: a reply that shifts would have no other end. */
function shiftingLimit(engine: Engine, request: InferenceRequest): number {
  const { maxTokens } = request.options;
  return Math.min(
    maxTokens < 0 ? Infinity : maxTokens,
    MOST_CONTEXTS * contextLimit(engine, request),
  );
}

/** Tokens the reply may have: what was asked for, within a context made smaller by the request. */
function replyLimit(engine: Engine, request: InferenceRequest, promptTokens: number): number {
  const { maxTokens } = request.options;
  const limit = contextLimit(engine, request);
  if (limit >= engine.info.slotContextLength) return maxTokens;
  const room = limit - promptTokens;
  return maxTokens < 0 ? room : Math.min(maxTokens, room);
}

/** Tokens that the reply can have in any case. */
function roomFor(engine: Engine, prompt: { tokens: Int32Array }, maxTokens: number): number {
  const room = engine.info.slotContextLength - prompt.tokens.length;
  return maxTokens < 0 ? room : Math.min(maxTokens, room);
}

/** Of a reply that must be of some form, a thought may take half: the rest is for what was asked for. */
function thoughtLimit(engine: Engine, { tags, opensThought }: Thought, room: number) {
  if (tags === undefined) return {};
  const thought: ThoughtLimit = {
    ...(opensThought ? {} : { open: tags.open }),
    close: tags.close,
    closeTokens: engine.tokenize(tags.close, { special: true }),
    most: Math.floor(room / 2),
  };
  return { thought };
}

/**
 * The model thinks unless told not to, as in Ollama. One that cannot answers without, in each dialect, and the answer says so:
 * programs ask every model to think.
 */
function askedThink(
  { capabilities }: ModelTemplate,
  { think }: InferenceRequest,
  { notes }: Call,
): Think | undefined {
  if (capabilities.includes("thinking")) return think ?? true;
  if (think !== undefined && think !== false) notes.ignored.push("thinking");
  return undefined;
}

function hasTools({ prompt }: InferenceRequest): boolean {
  return prompt.kind === "chat" && prompt.tools.length > 0;
}

function wantsStrict({ prompt }: InferenceRequest): boolean {
  return prompt.kind === "chat" && prompt.tools.some(({ strict }) => strict);
}

function* ignoredOf({ go }: ModelTemplate, { ignored, prompt }: InferenceRequest) {
  yield* ignored ?? [];
  if (go !== undefined && prompt.kind === "chat" && prompt.templateValues !== undefined) {
    yield "chat_template_kwargs";
  }
}

function checkCapabilities({ engine, template }: Inference, request: InferenceRequest): void {
  const { capabilities } = template;
  const { hasDecoder } = engine.info;
  const refuse = (what: string) =>
    new SecLlamaError("bad-request", `"${request.model}" does not support ${what}`);
  if (!hasDecoder) throw refuse(request.prompt.kind === "chat" ? "chat" : "generate");
  const { prompt } = request;
  if (prompt.kind !== "chat" || prompt.tools.length === 0) return;
  // A call that must be made is made by the grammar, whatever the model knows of tools.
  if (prompt.toolChoice === "auto" && !capabilities.includes("tools")) throw refuse("tools");
}

function tokenLogprobs(event: Extract<GenerateEvent, { type: "token" }>): TokenLogprobs {
  return { ...logprob(event.logprob!), top: (event.top ?? []).map(logprob) };
}

function logprob(value: TokenLogprob): Logprob {
  return { token: value.text, logprob: value.logprob, bytes: [...value.bytes] };
}
