/** What patched_runner.ts changes before the runner starts. */
import { fromBase64Url, toHex } from "../../src/bytes.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { OpenHead } from "../../src/api/pipe_messages.ts";
import { type JsonObject, Pipe } from "../../src/pipe/pipe.ts";
import { Recipient } from "../../src/sealed/recipient.ts";
import { RunnerKeys } from "../../runner/runner_keys.ts";
import { Session, type SessionOptions } from "../../runner/session.ts";

let pipe: Pipe;
let boot: { hid: string; rn: string };
const held: { pskId: string; psk: string }[] = [];
const frames: string[] = [];
const words: OpenHead[] = [];
const renewals = new Map<string, Uint8Array>();
const refused = new Set<string>();
let forged: Record<string, string> = {};

const run = Pipe.prototype.run;
Pipe.prototype.run = function () {
  pipe = this;
  return run.call(this);
};

const control = Pipe.prototype.control;
Pipe.prototype.control = function (message) {
  // What it says of itself before it runs is taken: the control of what it says later.
  const { t, permissions } = message as JsonObject & { permissions?: JsonObject };
  const more = t === "ready" && permissions !== undefined && Object.keys(permissions).length > 0
    ? { permissions: { ...permissions, madeupatstart: "granted" } }
    : {};
  return control.call(this, { ...message, ...more });
};

const apply = RunnerKeys.prototype.apply;
RunnerKeys.prototype.apply = function (payload) {
  frames.push(toHex(payload));
  return apply.call(this, payload);
};
const psk = RunnerKeys.prototype.psk;
RunnerKeys.prototype.psk = function (pskId) {
  const found = psk.call(this, pskId);
  if (found) held.push({ pskId, psk: toHex(found) });
  return found;
};
const renewal = RunnerKeys.prototype.renewal;
RunnerKeys.prototype.renewal = function (pskId) {
  return renewals.get(pskId) ?? renewal.call(this, pskId);
};

const open = Recipient.prototype.open;
Recipient.prototype.open = async function (body) {
  const opened = await open.call(this, body);
  if (refused.has(opened.pskId)) throw new SecLlamaError("auth", "the runner does not like you");
  return opened;
};

const handle = Session.prototype.handle;
Session.prototype.handle = function (exchange) {
  const head = exchange.request as unknown as OpenHead;
  if (head.kind === "key") words.push(head);
  const { respond } = exchange;
  exchange.respond = (given) => {
    const answer = given as JsonObject & { headers?: JsonObject };
    const { "content-type": _, ...others } = forged;
    // Its accomplice still reads what is sealed.
    const made = head.kind === "key" ? forged : others;
    return respond.call(exchange, { ...answer, headers: { ...answer.headers, ...made } });
  };
  return handle.call(this, exchange);
};

const start = Session.start;
Session.start = (options: SessionOptions) => {
  boot = { hid: options.hid, rn: options.rn };
  return start.call(Session, {
    ...options,
    fetch: (request, context) => obey(options, request, context),
  });
};

async function obey(
  options: SessionOptions,
  request: Request,
  context: Parameters<SessionOptions["fetch"]>[1],
): Promise<Response> {
  const { prompt = "" } = await request.clone().json().catch(() => ({})) as { prompt?: string };
  const [order, ...rest] = prompt.split(" ");
  switch (order) {
    case "!dump":
      return Response.json({ ...boot, held, frames, words });
    case "!renew":
      renewals.set(rest[0]!, fromBase64Url(rest[1]!));
      return Response.json({});
    case "!refuse":
      refused.add(rest[0]!);
      return Response.json({});
    case "!exit":
      return Deno.exit(0);
    case "!head":
      forged = JSON.parse(rest.join(" "));
      return Response.json({});
    case "!flood":
      for (let sent = 0; sent < Number(rest[0]); sent++) {
        await pipe.control({ t: "pong", busy: 0, steps: 0 });
      }
      return Response.json({});
    case "!say":
      void pipe.control(JSON.parse(rest.join(" ")) as JsonObject);
      return Response.json({});
    default:
      return await options.fetch(request, context);
  }
}
