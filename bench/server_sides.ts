/** The two sides that server_bench.ts compares: our whole path, and llama-server or, without one, the engine called bare. */
import { dirname, join } from "node:path";
import { loadEngine } from "../runner/engine/mod.ts";
import { libraryFolder } from "../runner/engine/testing.ts";
import { DEFAULT_SAMPLING } from "../runner/engine/types.ts";
import { ModelStore } from "../src/models/store.ts";
import { startServe } from "../tests/support/serve.ts";

export interface Load {
  readonly prompt: string;
  readonly tokens: number;
  /** Whether the side may reuse what it knows of the prompt. */
  readonly cache: boolean;
}

/** One request as its client saw it; times in milliseconds from its start. */
export interface Seen {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly tokens: number;
  readonly promptTokens: number;
  /** The longest wait between two pieces of the reply. */
  readonly gapMs: number;
}

export interface Side {
  readonly name: string;
  /** Where our proxy listens; of others absent. */
  readonly url?: string;
  /** @param onFirst Called when the first piece of the reply is there. */
  ask(load: Load, onFirst?: () => void): Promise<Seen>;
  /** Resident memory of its processes, shared pages counted in parts (PSS): all, and the one with the model alone. */
  memory(): Promise<{ all: number; model: number } | undefined>;
  stop(): Promise<void>;
}

export interface SideOptions {
  readonly model: string;
  readonly slots: number;
  readonly context: number;
  readonly threads: number;
  /** Settings of ours. */
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments of llama-server's. */
  readonly args?: readonly string[];
}

/** Client → proxy → sealed → gateway → sandboxed runner, streamed, as Ollama's clients do it. */
export async function startOurs(o: SideOptions): Promise<Side> {
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-bench-" });
  await (await ModelStore.open(join(dataDir, "models"))).importGguf(o.model, "bench");
  const served = await startServe({
    env: { SECLLAMA_DATA_DIR: dataDir, ...o.env },
    args: [
      "--ephemeral",
      "--model=bench",
      "--keep-alive=forever",
      `--parallel=${o.slots}`,
      `--context-length=${o.context}`,
      `--threads=${o.threads}`,
    ],
  });
  let serial = 0;
  return {
    name: "SecLlama",
    url: served.proxyUrl,
    // Without a cache: a first word of its own keeps the prompt's prefix from being known.
    async ask({ prompt, tokens, cache }, onFirst) {
      const started = performance.now();
      const response = await fetch(`${served.proxyUrl}/api/generate`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: "bench",
          prompt: cache ? prompt : `${serial++ % 10}${serial % 7} ${prompt}`,
          raw: true,
          options: { temperature: 0, repeat_penalty: 1, num_predict: tokens },
        }),
      });
      const watch = new Watch(started, onFirst);
      const text = await readAll(response, () => watch.piece());
      const last = JSON.parse(text.trim().split("\n").at(-1)!);
      if (last.error) throw new Error(last.error);
      return {
        ...watch.seen(),
        tokens: last.eval_count,
        promptTokens: last.prompt_eval_count,
      };
    },
    async memory() {
      const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
      const runner = status.runners[0].pid as number;
      const pids = await descendants(served.pid);
      return { all: await pss([...pids]), model: await pss([runner]) };
    },
    async stop() {
      await served.stop();
      await Deno.remove(dataDir, { recursive: true });
    },
  };
}

/** llama-server with the same file, slots, context and threads. */
export async function startLlamaServer(program: string, o: SideOptions): Promise<Side> {
  const port = freePort();
  const child = new Deno.Command(program, {
    args: [
      ...["--model", o.model, "--host", "127.0.0.1", "--port", String(port)],
      ...["--threads", String(o.threads), "--threads-batch", String(o.threads)],
      ...["--parallel", String(o.slots), "--ctx-size", String(o.slots * o.context)],
      ...["--no-webui", "--cache-ram", "0", ...o.args ?? []],
    ],
    env: { LD_LIBRARY_PATH: dirname(program) },
    stdout: "null",
    stderr: "null",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0;; tries++) {
    const ready = await fetch(`${url}/health`).then(
      async (r) => (await r.body?.cancel(), r.ok),
      () => false,
    );
    if (ready) break;
    if (tries > 600) throw new Error("llama-server did not become ready");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  let serial = 0;
  return {
    name: "llama-server",
    async ask({ prompt, tokens, cache }, onFirst) {
      const started = performance.now();
      const response = await fetch(`${url}/completion`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          prompt: cache ? prompt : `${serial++ % 10}${serial % 7} ${prompt}`,
          n_predict: tokens,
          stream: true,
          temperature: 0,
          cache_prompt: cache,
        }),
      });
      const watch = new Watch(started, onFirst);
      const text = await readAll(response, () => watch.piece());
      const last = JSON.parse(text.trim().split("\n").at(-1)!.replace(/^data: /, ""));
      return {
        ...watch.seen(),
        tokens: last.tokens_predicted,
        promptTokens: last.tokens_evaluated,
      };
    },
    memory: async () => {
      const bytes = await pss([child.pid]);
      return { all: bytes, model: bytes };
    },
    async stop() {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

/** The engine in this process: no HTTP, no sealing, no sandbox. */
export async function startBare(o: SideOptions): Promise<Side> {
  const engine = await loadEngine({
    libDir: libraryFolder(),
    modelPath: o.model,
    contextLength: o.context,
    slots: o.slots,
    threads: o.threads,
  });
  let serial = 0;
  return {
    name: "bare engine",
    async ask({ prompt, tokens, cache }, onFirst) {
      const watch = new Watch(performance.now(), onFirst);
      const request = {
        prompt: [{ text: prompt, special: false }],
        client: cache ? "bench" : `bench ${serial++}`,
        maxTokens: tokens,
        stop: [],
        sampling: { ...DEFAULT_SAMPLING, temperature: 0, repeatPenalty: 1 },
      };
      for await (const event of engine.generate(request, new AbortController().signal)) {
        if (event.type === "token") watch.piece();
        else if (event.type === "done") {
          return {
            ...watch.seen(),
            tokens: event.evalTokens,
            promptTokens: event.promptTokens,
          };
        }
      }
      throw new Error("the engine ended without a result");
    },
    memory: () => Promise.resolve(undefined),
    stop: () => Promise.resolve(engine.close()),
  };
}

/** When the pieces of a reply came. */
class Watch {
  readonly #started: number;
  readonly #onFirst: (() => void) | undefined;
  #firstMs = 0;
  #lastAt = 0;
  #gapMs = 0;

  constructor(started: number, onFirst?: () => void) {
    this.#started = started;
    this.#onFirst = onFirst;
  }

  piece(): void {
    const now = performance.now();
    if (this.#firstMs === 0) {
      this.#firstMs = now - this.#started;
      this.#onFirst?.();
    } else this.#gapMs = Math.max(this.#gapMs, now - this.#lastAt);
    this.#lastAt = now;
  }

  seen() {
    return {
      firstMs: this.#firstMs,
      lastMs: performance.now() - this.#started,
      gapMs: this.#gapMs,
    };
  }
}

async function readAll(response: Response, onChunk: () => void): Promise<string> {
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body!) {
    const piece = decoder.decode(chunk, { stream: true });
    // A line without text says every ten seconds that a long prompt is still being read.
    if (/"(?:response|content)": ?"[^"]/.test(piece)) onChunk();
    text += piece;
  }
  return text;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Bytes, from proc(5), smaps_rollup. */
async function pss(pids: readonly number[]): Promise<number> {
  let bytes = 0;
  for (const pid of pids) {
    const text = await Deno.readTextFile(`/proc/${pid}/smaps_rollup`).catch(() => "");
    bytes += Number(/^Pss: +(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

/** A process and all that it has started. */
export async function descendants(root: number): Promise<Set<number>> {
  const parents = new Map<number, number>();
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[1]) parents.set(Number(name), Number(fields[1]));
  }
  const found = new Set([root]);
  for (let size = 0; size < found.size;) {
    size = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return found;
}
