import assert from "node:assert/strict";
import type { NatsConnection } from "@nats-io/transport-node";
import { askStream } from "./nats_link.ts";

Deno.test("fleet: NATS is asked about its stream no longer than the caller waits for it", async () => {
  const limits: unknown[] = [];
  const connection = {
    request: (_subject: string, _body: string, { timeout }: { timeout: number }) => {
      limits.push(timeout);
      return Promise.resolve({ json: () => ({ config: { num_replicas: 3 } }) });
    },
  } as unknown as NatsConnection;
  assert.equal((await askStream(connection, "INFO", {}, 7)).config?.num_replicas, 3);
  await askStream(connection, "INFO", {});
  assert.deepEqual(limits, [7, 10_000]);
});
