/**
 * Two servers for the clients: the whole path (`startServe`, tests/support) with the demo model, and, for what that small
 * model cannot do (thoughts, tool calls, failures), the runner's API alone over a fake engine that follows a script.
 */
import type { FakeEngine, FakeScript } from "../../runner/api/fake_engine.ts";
import { testApi } from "../../runner/api/testing.ts";
import { until } from "../support/patience.ts";

// Deno 2.9.4 forgets a fetch's signal once nothing holds the response: after a garbage collection `abort()` does nothing. Clients that
// keep only its body would then read an endless reply for ever.
const held: Response[] = [];
const fetchOnce = globalThis.fetch;
globalThis.fetch = async (...args) => {
  const answer = await fetchOnce(...args);
  held.push(answer);
  return answer;
};

export interface Scripted {
  readonly url: string;
  readonly engine: FakeEngine;
}

/** Serves the API over a fake engine on a free port of loopback while `use` runs. */
export async function withScript(
  script: FakeScript,
  use: (server: Scripted) => Promise<void>,
): Promise<void> {
  const { api, engine } = testApi(script);
  const stop = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: stop.signal },
    (request) => api.fetch(request, { client: "test" }),
  );
  try {
    await use({ url: `http://127.0.0.1:${server.addr.port}`, engine });
  } finally {
    // Not a graceful end: a client that has not let go must fail its test, not hang it.
    stop.abort();
    await server.finished;
  }
}

/** Resolves once nothing generates any more. */
export async function idle(engine: FakeEngine): Promise<void> {
  await until(() => engine.running === 0, "nothing generates any more");
}

/** A model that thinks, speaks and calls a tool. */
export const THINK_AND_CALL: FakeScript = {
  pieces: [
    "<think>",
    "Rain",
    "?",
    "</think>",
    "Let me see. ",
    "<tool_call>",
    '{"name": "weather", "arguments": {"city": "Oslo"}}',
    "</tool_call>",
  ],
  info: { capabilities: ["completion", "tools", "thinking"] },
};

export const WEATHER_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
