/**
 * A gateway in this process with real runners in the real sandbox, and two clients who seal. Only the keys are fakes, as
 * pairing is not what these tests are about.
 */
import { join } from "node:path";
import { Installation } from "../../src/app/installation.ts";
import { type Credentials, sealedFetch } from "../../src/client/mod.ts";
import { type Config, loadConfig } from "../../src/config/config.ts";
import { Activity } from "../../src/gateway/activity.ts";
import { makeGatewayApp } from "../../src/gateway/app.ts";
import { noLimits } from "../../src/gateway/testing.ts";
import { listenerRules } from "../../src/api/listener_rules.ts";
import { serveHardened } from "../../src/http/mod.ts";
import { KeyRing, type KeySource, openKeySource } from "../../src/keys/mod.ts";
import { silentLogger } from "../../src/log.ts";
import { randomBytes } from "../../src/sealed/primitives.ts";
import { deriveLocalPsk } from "../../src/sealed/psk.ts";
import { ModelStore } from "../../src/models/store.ts";
import { chooseGpu } from "../../src/supervisor/gpu.ts";
import { openSandbox } from "../../src/supervisor/isolation.ts";
import { Supervisor } from "../../src/supervisor/supervisor.ts";
import { ROOT } from "../support/serve.ts";

export const DEMO = join(ROOT, "models/demo.gguf");
const KIDS = ["0123456789abcdef", "fedcba9876543210"] as const;
const TRANSPORTS = [randomBytes(32), randomBytes(32)];

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  // deno-lint-ignore no-explicit-any -- whatever the API answered, for a test to look into
  readonly body: any;
}

export interface Client {
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
  /** Asks the gateway itself, with a proof of who asks. */
  readonly metadata: (path: string) => Promise<Answer["body"]>;
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
  const keys = await withTwoClients(
    await openKeySource({ dataDir, env: {}, interactive: false, ephemeral: true }),
  );
  const models = await ModelStore.open(join(dataDir, "models"));
  for (const [name, path] of Object.entries(options.models ?? { a: DEMO, b: DEMO, c: DEMO })) {
    await models.importGguf(path, name);
  }
  const sandbox = await openSandbox({
    files: await new Installation({ env: {}, onNote: () => {} }).runnerFiles(),
    mode: "strict",
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
    limits: noLimits(),
    config,
    supervisor,
    models,
    logger: silentLogger,
    version: "test",
    keys,
    activity: new Activity(),
    notReady: () => Promise.resolve([]),
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
  using ring = await keys.ring();
  const [first, second] = KIDS.map((kid, i) => ({
    pskId: `local.${kid}`,
    psk: deriveLocalPsk(TRANSPORTS[i]!),
    hid: ring.hid,
  }));
  try {
    await use({
      supervisor,
      first: clientOf(url, first!),
      second: clientOf(url, second!),
      loaded: () => supervisor.loaded().map((m) => m.name.replace(/:latest$/, "")),
      pidOf: (model) =>
        supervisor.loaded().find((m) => m.name === `${model}:latest`)!.isolation.measureNow().pid,
    });
  } finally {
    stop.abort();
    await supervisor.stop();
    await server.finished;
    keys[Symbol.dispose]();
    await Deno.remove(dataDir, { recursive: true });
  }
}

/** Two keys, so that two may come unpaced as from this machine, and a third who never does: the model is shared. */
function withTwoClients(real: KeySource): KeySource {
  const absent = { id: "0".repeat(32), name: "absent", created: "", revoked: null, kid: KIDS[0] };
  const ring = () =>
    Promise.resolve(
      new KeyRing({
        hid: real.hid,
        gen: 1,
        keys: KIDS.map((kid, i) => ({
          kid,
          transport: TRANSPORTS[i]!,
          active: i === 0,
          createdMs: 0,
        })),
        clients: new Map([[absent.id, absent]]),
        roles: new Map(),
        graceMs: 0,
        now: () => new Date(),
      }),
    );
  return new Proxy(real, {
    get(source, name) {
      if (name === "ring") return ring;
      const value = Reflect.get(source, name);
      return typeof value === "function" ? value.bind(source) : value;
    },
  });
}

function clientOf(gateway: string, credentials: Credentials): Client {
  const fetch = sealedFetch({ gateway, credentials: () => Promise.resolve(credentials) });
  const post = (path: string, init?: RequestInit) => fetch(`http://model.invalid${path}`, init);
  return {
    fetch: post,
    metadata: async (path) => await (await fetch.metadata(path)).json(),
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
