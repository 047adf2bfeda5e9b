/**
 * A gateway and a runner for `wire_bench.ts`, each a process of its own: the real listener, sealed routes, pipe and session,
 * with a scripted API in the engine's place, as no engine makes frames fast enough to show the relay's limit.
 *
 *     deno run -A bench/wire_rig.ts gateway [LABEL PSK HID]
 *
 * prints "<port> <its pid> <the runner's pid> <psk> <hid>", the latter in hex.
 */
import { Hono } from "hono";
import { fromHex, toHex, utf8 } from "../src/bytes.ts";
import type { Credentials } from "../src/client/mod.ts";
import type { GatewayContext } from "../src/gateway/context.ts";
import type { ManagementEnv } from "../src/gateway/management.ts";
import { sealedRoutes } from "../src/gateway/routes/sealed.ts";
import { listenerRules } from "../src/api/listener_rules.ts";
import { serveHardened } from "../src/http/mod.ts";
import { silentLogger } from "../src/log.ts";
import { encodeGive } from "../src/pipe/key_frames.ts";
import { Pipe } from "../src/pipe/pipe.ts";
import { FakeHost } from "../src/sealed/fake_host.ts";
import { randomBytes } from "../src/sealed/primitives.ts";
import { noLimits } from "../src/gateway/testing.ts";
import { Session } from "../runner/session.ts";

export const RIG_PSK_ID = "local.0123456789abcdef";
const MODEL = "demo:latest";
/** About the size of one line of a streamed chat. */
const LINE = utf8(
  '{"model":"demo","created_at":"2026-01-01T00:00:00.000Z","message":{"role":"assistant","content":" the"},"done":false}\n',
);

/** Requests that the simulated engine works on at once, for `/wait`. */
export const SLOTS = 4;
const free: (() => void)[] = [];
let busy = 0;

/** One line after `ms` in one of the slots: an engine's time, as waiting. */
async function waited(ms: number): Promise<Response> {
  if (busy < SLOTS) busy++;
  else await new Promise<void>((resolve) => free.push(resolve));
  await new Promise((resolve) => setTimeout(resolve, ms));
  const next = free.shift();
  if (next !== undefined) next();
  else busy--;
  return new Response(LINE);
}

/**
 * `/flood/<n>`: n lines as fast as they are taken; `/idle`: one line, and then nothing until the client goes; `/wait/<ms>`: see
 * {@link waited}.
 */
function scripted(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/wait/")) return waited(Number(pathname.split("/").at(-1)));
  let left = pathname === "/idle" ? 1 : Number(pathname.split("/").at(-1));
  return Promise.resolve(
    new Response(
      new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          if (left-- > 0) return controller.enqueue(LINE);
          if (pathname !== "/idle") return controller.close();
          await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
        },
      }, { highWaterMark: 0 }),
    ),
  );
}

async function runner(hid: string, rn: string): Promise<void> {
  const pipe: Pipe = new Pipe({
    side: "runner",
    readable: Deno.stdin.readable,
    write(bytes) {
      for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
    },
    onControl() {},
    onSecret: (payload) => session.takeKeys(payload),
    onExchange: (exchange) => session.handle(exchange),
  });
  const session = await Session.start({
    model: MODEL,
    encryption: true,
    fetch: scripted,
    hid,
    rn,
    onRecipients: (ids) => void pipe.control({ ids }),
  });
  session.serve();
  await pipe.run();
}

async function gateway(label = "", psk: Uint8Array = randomBytes(32), hid?: string): Promise<void> {
  const host = new FakeHost(() => psk);
  if (hid !== undefined) host.hid.set(fromHex(hid));
  const child = new Deno.Command(Deno.execPath(), {
    // As a runner runs: without a compiler.
    args: [
      ...["run", "-A", "--no-check", "--v8-flags=--jitless", import.meta.filename!],
      ...["runner", toHex(host.hid), toHex(host.rn)],
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const pipe = new Pipe({
    side: "gateway",
    readable: child.stdout,
    write: (bytes) => writer.write(bytes),
    onControl({ ids }) {
      if (Array.isArray(ids)) model.recipients = ids.map(String);
    },
  });
  void pipe.run().catch(() => {});
  const given = { pskId: RIG_PSK_ID, psk: host.runnerPsk(RIG_PSK_ID)! };
  for (const payload of encodeGive([given])) await pipe.secret(payload);
  const model = {
    name: MODEL,
    runner: { onSaid() {} },
    recipients: [] as string[],
    open: (head: { readonly [key: string]: unknown }) => ({
      ...{ exchange: pipe.open(head), kind: head["kind"] },
      arrived() {},
      done() {},
    }),
  };
  const supervisor = {
    keys: {
      shared: false,
      knows: () => Promise.resolve(true),
      give() {},
      attest(_: unknown, id: string, { model, challenge }: { model: string; challenge: string }) {
        const { gen, attest } = host.word(id, { model, challenge: fromHex(challenge) });
        return { gen, attest: toHex(attest) };
      },
    },
    acquire: () => Promise.resolve({ model, waitedMs: 0 }),
    byRecipient: () => model,
    dropReplaced: () => Promise.resolve(),
  };
  const app = new Hono<ManagementEnv>();
  const context = { supervisor, limits: noLimits(), config: { hostLabel: label } };
  sealedRoutes(app, context as unknown as GatewayContext);
  app.get("/readyz", (c) => c.text(""));
  const { addr } = await serveHardened({
    rules: listenerRules(),
    // As packaging/balancers asks for it.
    allowedHosts: ["secllama.lan"],
    hostname: "127.0.0.1",
    port: 0,
    handler: (request) => app.fetch(request),
    limits: { connections: 2048 },
    logger: silentLogger,
    signal: new AbortController().signal,
  });
  console.log(addr.port, Deno.pid, child.pid, toHex(psk), toHex(host.hid));
}

export interface Rig {
  readonly url: string;
  readonly gatewayPid: number;
  readonly runnerPid: number;
  readonly credentials: Credentials;
  stop(): Promise<void>;
}

/** Starts both. */
export async function startRig(
  like?: { readonly label: string; readonly credentials: Credentials },
): Promise<Rig> {
  const own = like === undefined
    ? []
    : [like.label, toHex(like.credentials.psk), toHex(like.credentials.hid)];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, "gateway", ...own],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const [port, gatewayPid, runnerPid, psk, hid] = (await reader.read()).value!.trim().split(" ");
  return {
    url: `http://127.0.0.1:${port}`,
    gatewayPid: Number(gatewayPid),
    runnerPid: Number(runnerPid),
    credentials: { pskId: RIG_PSK_ID, psk: fromHex(psk!), hid: fromHex(hid!) },
    async stop() {
      // The runner ends with its pipe.
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

if (import.meta.main) {
  const [role, first, second, third] = Deno.args;
  await (role === "runner"
    ? runner(first!, second!)
    : gateway(first, second === undefined ? undefined : fromHex(second), third));
}
