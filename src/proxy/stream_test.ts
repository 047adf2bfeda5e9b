import assert from "node:assert/strict";
import { until } from "../../tests/support/patience.ts";
import { encoder, post, withProxy } from "./testing.ts";

Deno.test("proxy: a stream arrives as it is made, and the client's going ends it", () =>
  withProxy(async ({ server, url }) => {
    const step = Promise.withResolvers<void>();
    let ended = false;
    server.answer = () => ({
      headers: { "content-type": "application/x-ndjson" },
      body: (async function* () {
        try {
          yield encoder.encode("first\n");
          await step.promise;
          for (;;) {
            yield encoder.encode("more\n");
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
        } finally {
          ended = true;
        }
      })(),
    });
    const controller = new AbortController();
    const response = await fetch(
      `${url}/api/chat`,
      post({ model: "demo" }, { signal: controller.signal }),
    );
    const reader = response.body!.getReader();
    // The second piece is not made before the first was read.
    assert.equal(new TextDecoder().decode((await reader.read()).value), "first\n");
    step.resolve();
    assert.match(new TextDecoder().decode((await reader.read()).value), /^(more\n)+$/);
    controller.abort();
    await reader.read().catch(() => {});
    await until(() => ended, "the runner is told");
  }));

Deno.test("proxy: a client that goes before the answer begins cancels the request", () =>
  withProxy(async ({ server, url }) => {
    const opened = Promise.withResolvers<void>();
    server.answer = () => {
      opened.resolve();
      const signal = server.signals.at(-1)!;
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve({})));
    };
    const controller = new AbortController();
    const pending = fetch(
      `${url}/api/generate`,
      post({ model: "demo" }, { signal: controller.signal }),
    );
    await opened.promise;
    const signal = server.signals.at(-1)!;
    controller.abort();
    await assert.rejects(pending);
    await until(() => signal.aborted, "the request is cancelled");
  }));

Deno.test("proxy: a reply that is cut off does not look complete", () =>
  withProxy(async ({ server, url }) => {
    server.answer = () => ({ body: [encoder.encode("half")] });
    // The last frame, FINAL, never comes.
    server.tamper = (bytes, index) => index < 2 ? bytes : undefined;
    const response = await fetch(`${url}/api/generate`, post({ model: "demo" }));
    await assert.rejects(response.text());
  }));
