/**
 * The runner: one process per loaded model, without a network. It speaks only the pipe on its standard input and output.
 * Order matters: harden, load the model, lock down for good, attack the gateway's listeners, report; only a runner whose
 * report the gateway believed is given keys.
 */
import type { Bytes } from "../src/bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../src/errors.ts";
import {
  type BootMessage,
  type FromRunner,
  LAST_WORDS_MS,
  parseToRunner,
} from "../src/api/pipe_messages.ts";
import { settlesWithin } from "../src/pause.ts";
import { permissionStates } from "../src/permissions.ts";
import { Pipe } from "../src/pipe/pipe.ts";
import { makeApi } from "./api/mod.ts";
import { attack } from "./escape.ts";
import { openForeignEngine } from "./engine/foreign/engine.ts";
import { DEFAULT_SAMPLING, type Engine, type EngineOptions, loadEngine } from "./engine/mod.ts";
import { hardenEarly, lockdown } from "./lockdown.ts";
import { Session } from "./session.ts";

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

/** One line for the gateway's log; never content. */
function fatal(error: unknown): never {
  writeError(`runner: ${toSecLlamaError(error).code}`);
  Deno.exit(1);
}

function writeError(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(line + "\n"));
}

/** What a gateway looks for where a runner ends before it is ready: src/supervisor/runner_process.ts. */
const COMPUTES = "runner: computes";

/** More than any model has. */
const ALL_LAYERS = 9999;
/** How often it is told how much of a model is loaded. */
const LOADING_STEPS = 20;

/** Exchanges under way. */
const under = new Set<Promise<void>>();

/** Ends this process once the replies under way have told of their failure, or a reader took too long to hear it. */
async function afterLastWords(): Promise<never> {
  const error = new SecLlamaError("runner-died", "the model's engine ended");
  send({ t: "failed", code: error.code, message: error.message });
  // What was in the pipe before the gateway knew comes, too.
  const told = (async () => {
    do await Promise.allSettled(under); while (under.size > 0);
  })();
  await settlesWithin(told, LAST_WORDS_MS);
  fatal(error);
}

let session: Session | undefined;
let engine: Engine | undefined;
let booted = false;

async function boot(message: BootMessage): Promise<void> {
  // From here on its lines are a runner's, not the launcher's: before the model is looked at, which may take it over.
  send({ t: "loading", percent: 0 });
  const started = performance.now();
  const options: EngineOptions = {
    libDir: message.libDir,
    modelPath: message.modelPath,
    adapterPaths: message.adapterPaths,
    retyped: message.retyped,
    contextLength: message.engine.contextLength,
    cacheCells: message.engine.cacheCells,
    slots: message.engine.slots,
    threads: message.engine.threads,
    queueLimit: message.engine.queueLimit,
    cacheType: message.engine.cacheType,
    gpuLayers: message.engine.gpu ? ALL_LAYERS : 0,
    onLoading: inSteps((percent) => send({ t: "loading", percent })),
    // Without it a reply takes longer, and is the same.
    ...(message.draftPath !== null && {
      draft: { path: message.draftPath, onRefused: () => writeError("runner: draft-refused") },
    }),
    // A projector that llama.cpp refuses costs the model its sight, not its speech; a request with a picture is told so.
    ...(message.vision && {
      vision: { ...message.vision, onRefused: () => writeError("runner: projector-refused") },
    }),
  };
  const loaded = engine = message.foreign === null
    ? await loadEngine(options)
    : await openForeignEngine({
      ...options,
      ...message.foreign,
      // Nothing can be answered without it, and a new one is only started with a new runner.
      onEnded: () => void afterLastWords(),
    });
  const loadMs = performance.now() - started;
  const api = makeApi({
    engine: loaded,
    model: message.model,
    version: message.version,
    defaults: message.defaults,
    templateCompletions: message.templateCompletions,
    onKeepAlive: (ms, client) => send({ t: "keep_alive", ms: ms === "forever" ? -1 : ms, client }),
  });
  const locked = message.lockdown
    ? await lockdown(message.stage2More === null ? {} : { more: message.stage2More })
    : [];
  // What a processor's libraries or a GPU's driver do only when they compute may be what stage 2 stops: no user is to find it out.
  writeError(COMPUTES);
  await tryOut(loaded);
  const attacks = message.targets === null ? [] : attack(message.targets);
  session = await Session.start({
    model: message.model,
    encryption: message.encryption,
    hid: message.hid,
    rn: message.rn,
    fetch: (request, context) => api.fetch(request, context),
    onRecipients: (ids) => send({ t: "recipients", ids }),
    onUsed: (exchange, tokens) => send({ t: "used", exchange, ...tokens }),
    onRefused: (exchange, code) => send({ t: "refused", exchange, code }),
    onReceipt: (exchange, word) => send({ t: "receipt", exchange, ...word }),
  });
  send({
    t: "ready",
    loadMs,
    sees: loaded.info.capabilities.some((one) => one === "vision" || one === "audio"),
    drafts: loaded.info.drafts === true,
    lockdown: locked,
    attacks,
    permissions: permissionStates(),
  });
}

/** Tells a share at each of {@link LOADING_STEPS} only. */
function inSteps(tell: (percent: number) => void): (share: number) => void {
  let told = 0;
  return (share) => {
    const step = Math.floor(share * LOADING_STEPS);
    if (!(step > told && step <= LOADING_STEPS)) return;
    told = step;
    tell(100 * step / LOADING_STEPS);
  };
}

/**
 * Has the model compute something, once.
 * @throws {SecLlamaError} `model-failed`: it cannot. llama.cpp may also end the process.
 */
async function tryOut(engine: Engine): Promise<void> {
  const client = "self-test";
  const { signal } = new AbortController();
  if (!engine.info.hasDecoder) {
    const tokens = engine.tokenize("a", { special: false });
    const ranks = engine.info.capabilities.includes("rerank");
    await (ranks ? engine.rank(tokens, { client, signal }) : engine.embed(tokens, {
      client,
      signal,
    }));
    return;
  }
  const request = {
    prompt: [{ text: "a", special: false }],
    client,
    maxTokens: 1,
    stop: [],
    sampling: { ...DEFAULT_SAMPLING, temperature: 0 },
  };
  for await (const _ of engine.generate(request, signal));
}

function send(message: FromRunner): void {
  void pipe.control(message);
}

const pipe = new Pipe({
  side: "runner",
  readable: Deno.stdin.readable,
  write: writeAll,
  onControl(control) {
    const message = parseToRunner(control);
    if (message.t === "boot" && !booted) {
      booted = true;
      boot(message).catch((error) => {
        const e = toSecLlamaError(error);
        send({ t: "failed", code: e.code, message: e.message });
        fatal(error);
      });
    } else if (message.t === "serve" && session) {
      session.serve();
    } else if (message.t === "ping" && engine) {
      send({ t: "pong", busy: engine.slotsBusy(), steps: engine.steps() });
    } else {
      throw new SecLlamaError("pipe-broken", "an unexpected control message came");
    }
  },
  onSecret(payload: Bytes) {
    if (!session) throw new SecLlamaError("pipe-broken", "keys came before the runner was ready");
    session.takeKeys(payload);
  },
  onExchange(exchange) {
    if (!session) {
      throw new SecLlamaError("pipe-broken", "an exchange came before the runner was ready");
    }
    const handled = session.handle(exchange).finally(() => under.delete(handled));
    under.add(handled);
    return handled;
  },
});

hardenEarly();
try {
  await pipe.run();
} catch (error) {
  fatal(error);
}
Deno.exit(0); // the gateway closed the pipe: nothing is left to do, and the engine's threads must not hold on
