/**
 * A gateway in this process with real runners in the real sandbox, and two clients who seal. Only the second client's key is
 * a fake: it is added to what a real key source gives, as pairing is not what these tests are about.
 */
import { join } from "node:path";
import { Installation } from "../../src/app/installation.ts";
import { sealedFetch } from "../../src/client/mod.ts";
import { type Config, loadConfig } from "../../src/config/config.ts";
import { makeGatewayApp } from "../../src/gateway/app.ts";
import { listenerRules } from "../../src/api/listener_rules.ts";
import { serveHardened } from "../../src/http/mod.ts";
import { type KeySource, openKeySource } from "../../src/keys/mod.ts";
import { silentLogger } from "../../src/log.ts";
import { ModelStore } from "../../src/models/store.ts";
import { chooseGpu } from "../../src/supervisor/gpu.ts";
import { openSandbox } from "../../src/supervisor/isolation.ts";
import { Supervisor } from "../../src/supervisor/supervisor.ts";
import { ROOT } from "../support/serve.ts";

export const DEMO = join(ROOT, "models/demo.gguf");
const SECOND_ID = "local.fedcba9876543210";

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  // deno-lint-ignore no-explicit-any -- whatever the API answered, for a test to look into
  readonly body: any;
}

export interface Client {
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
  /** Posts and reads the whole answer; refusals of the gateway become answers too. */
  ask(path: string, body: unknown, signal?: AbortSignal): Promise<Answer>;
}

export interface World {
  readonly supervisor: Supervisor;
  readonly first: Client;
  readonly second: Client;
  /** Names of what is loaded. */
  loaded(): string[];
  pidOf(model: string): number;
}

export interface WorldOptions {
  readonly config?: Partial<Config>;
  /** Name → file. Default: a, b and c, all the demo model. */
  readonly models?: Readonly<Record<string, string>>;
}

export async function withWorld(
  options: WorldOptions,
  use: (world: World) => Promise<void>,
): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const config = { ...loadConfig({ env: {} }), ...options.config };
  const keys = await withSecondClient(
    await openKeySource({ dataDir, env: {}, interactive: false, ephemeral: true }),
  );
  const models = await ModelStore.open(join(dataDir, "models"));
  for (const [name, path] of Object.entries(options.models ?? { a: DEMO, b: DEMO, c: DEMO })) {
    await models.importGguf(path, name);
  }
  const sandbox = await openSandbox({
    files: await new Installation({ env: {}, onNote: () => {} }).runnerFiles(),
    mode: { sandbox: true, strict: true },
  });
  const supervisor = new Supervisor({
    config,
    models,
    keys,
    sandbox,
    gpu: chooseGpu("off", { sandbox: true, found: [], backends: [] }),
    logger: silentLogger,
    version: "test",
  });
  const app = makeGatewayApp({
    config,
    supervisor,
    models,
    logger: silentLogger,
    version: "test",
    keyBackend: keys.backend,
    remote: false,
  });
  const stop = new AbortController();
  const server = await serveHardened({
    rules: listenerRules(),
    hostname: "127.0.0.1",
    port: 0,
    handler: (request) => app.fetch(request),
    logger: silentLogger,
    signal: stop.signal,
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const [firstKey, secondKey] = await keys.psks();
  try {
    await use({
      supervisor,
      first: clientOf(url, firstKey!),
      second: clientOf(url, secondKey!),
      loaded: () => supervisor.loaded().map((m) => m.name.replace(/:latest$/, "")),
      pidOf: (model) =>
        supervisor.loaded().find((m) => m.name === `${model}:latest`)!.isolation.measureNow().pid,
    });
  } finally {
    stop.abort();
    await supervisor.stop();
    await server.finished;
    keys.close();
    await Deno.remove(dataDir, { recursive: true });
  }
}

function withSecondClient(real: KeySource): KeySource {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  return new Proxy(real, {
    get(source, name) {
      if (name === "psks") {
        return async () => {
          const entries = await source.psks();
          const { kid, state } = entries[0]!;
          return [...entries.slice(0, 1), { pskId: SECOND_ID, psk: secret.slice(), kid, state }];
        };
      }
      const value = Reflect.get(source, name);
      return typeof value === "function" ? value.bind(source) : value;
    },
  });
}

function clientOf(gateway: string, key: { pskId: string; psk: Uint8Array }): Client {
  const fetch = sealedFetch({
    gateway,
    credentials: () => Promise.resolve({ pskId: key.pskId, psk: key.psk.slice() }),
  });
  const post = (path: string, init?: RequestInit) => fetch(`http://model.invalid${path}`, init);
  return {
    fetch: post,
    async ask(path, body, signal) {
      try {
        const response = await post(path, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
          ...(signal ? { signal } : {}),
        });
        return {
          status: response.status,
          retryAfter: response.headers.get("retry-after"),
          body: await response.json(),
        };
      } catch (error) {
        const { status, code, message } = error as {
          status?: number;
          code: string;
          message: string;
        };
        if (status === undefined) throw error;
        return { status, retryAfter: null, body: { error: message, code } };
      }
    },
  };
}

/** Numbers without end: a request that is at work for as long as `tokens` take. */
export function numbers(model: string, tokens: number): Record<string, unknown> {
  return {
    model,
    prompt: "numbers",
    raw: true,
    stream: false,
    format: { type: "array", items: { type: "integer" }, minItems: 400 },
    options: { num_predict: tokens, temperature: 0 },
  };
}

/** Waits until it is so; a test's own time limit ends a wait in vain. */
export async function until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    if (await is()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain until ${what}`);
}
