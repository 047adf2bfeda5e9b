/**
 * Live listeners to be attacked on systems where the gateway has no system calls of its own to make: macOS and Windows. Each
 * tells whoever connects how many came before it, so the gateway's own visit, made after the attack, shows what the attack
 * reached: a queue is first in, first out.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { settlesWithin } from "../pause.ts";
import type { AttackResult, Listeners, LoopbackTargets } from "./types.ts";
import { plural } from "../plural.ts";

type Target = keyof LoopbackTargets;
const VISIT_MS = 3_000;

interface Visitable {
  readonly target: Target;
  /** Goes there as the attacker would; returns how many were there since the last visit. @throws If it cannot. */
  visit(): Promise<number>;
  close(): void;
}

/**
 * Opens them and visits each once.
 * @param options.folder Where a Unix socket may lie; absent: none is opened.
 * @throws {SecLlamaError} `sandbox-failed` if one cannot be opened or reached.
 */
export async function openLoopbackListeners(
  options: { folder?: string } = {},
): Promise<Listeners & { readonly targets: LoopbackTargets }> {
  const open: Visitable[] = [];
  const close = () => open.splice(0).forEach((listener) => listener.close());
  const tcp = (target: Target, hostname: string): number => {
    const listener = Deno.listen({ hostname, port: 0 });
    const { port } = listener.addr;
    open.push(stream(target, listener, () => Deno.connect({ hostname, port })));
    return port;
  };
  try {
    const tcp4 = tcp("tcp4", "127.0.0.1");
    let tcp6: number | null = null;
    try {
      tcp6 = tcp("tcp6", "::1");
    } catch { /* no IPv6 here */ }
    const { port: udp, visitable } = await datagram();
    open.push(visitable);
    let pathStream: string | null = null;
    if (options.folder !== undefined) {
      const path = pathStream = join(options.folder, `probe-${crypto.randomUUID().slice(0, 8)}`);
      const listener = Deno.listen({ transport: "unix", path });
      open.push(
        stream("pathStream", listener, () => Deno.connect({ transport: "unix", path }), () => {
          Deno.removeSync(path);
        }),
      );
    }
    for (const { target, visit } of open) {
      if (await visit() !== 0) throw new Error(`${target} was visited by another`);
    }
    return {
      targets: { tcp4, tcp6, udp, pathStream },
      judge: (results) => judge(open, results),
      close,
    };
  } catch (cause) {
    close();
    throw new SecLlamaError(
      "sandbox-failed",
      "the listeners that test the sandbox could not be opened",
      { hint: "check that loopback is up", cause },
    );
  }
}

async function judge(
  open: readonly Visitable[],
  results: readonly AttackResult[],
): Promise<string[]> {
  const problems = open.length === 0 ? ["no listener is open"] : [];
  for (const { target, visit } of open) {
    try {
      const hits = await visit();
      if (hits > 0) problems.push(`${target}: the listener was reached ${plural(hits, "time")}`);
    } catch {
      problems.push(`${target}: the listener no longer counts`);
    }
    const outcome = results.find((r) => r.target === target)?.outcome ?? "not run";
    if (outcome === "not run") problems.push(`${target}: was not attacked`);
    else if (outcome !== "blocked") problems.push(`${target}: nothing refused the attack`);
  }
  return problems;
}

function stream(
  target: Target,
  listener: Deno.Listener,
  connect: () => Promise<Deno.Conn>,
  remove: () => void = () => {},
): Visitable {
  let came = 0;
  let expected = 0;
  void (async () => {
    try {
      for await (const connection of listener) {
        const before = new Uint8Array(4);
        new DataView(before.buffer).setUint32(0, came++);
        connection.write(before).catch(() => {}).finally(() => connection.close());
      }
    } catch { /* closed */ }
  })();
  return {
    target,
    async visit() {
      const connection = await within(connect());
      try {
        const before = new Uint8Array(4);
        if (await within(connection.read(before)) !== 4) throw new Error("cut short");
        const hits = new DataView(before.buffer).getUint32(0) - expected;
        expected += hits + 1;
        return hits;
      } finally {
        connection.close();
      }
    },
    close() {
      listener.close();
      remove();
    },
  };
}

async function datagram(): Promise<{ port: number; visitable: Visitable }> {
  const socket: Socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await within(once(socket, "listening"));
  const { port } = socket.address();
  let strangers = 0;
  let own = "";
  let arrived = () => {};
  socket.on("message", (message) => {
    if (own !== "" && message.toString("latin1") === own) arrived();
    else strangers++;
  });
  return {
    port,
    visitable: {
      target: "udp",
      async visit() {
        const here = Promise.withResolvers<void>();
        arrived = here.resolve;
        own = crypto.randomUUID();
        const sender = createSocket("udp4");
        try {
          sender.send(own, port, "127.0.0.1");
          await within(here.promise);
        } finally {
          sender.close();
          own = "";
        }
        const hits = strangers;
        strangers = 0;
        return hits;
      },
      close: () => void socket.close(),
    },
  };
}

async function within<T>(promise: Promise<T>): Promise<T> {
  if (await settlesWithin(promise, VISIT_MS)) return await promise;
  throw new Error("too late");
}
