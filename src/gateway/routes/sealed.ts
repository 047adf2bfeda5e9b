/** `GET /sealed/v1/key` and `POST /sealed/v1`: find the runner, relay bytes both ways. Opens nothing. */
import type { Hono } from "hono";
import { concat } from "../../bytes.ts";
import { SEALED_TYPE } from "../../api/media_types.ts";
import { ROUTES } from "../../api/routes.ts";
import { namedRunner, RUNNER_HEADER, runnerName } from "../../api/runner_name.ts";
import { parseWantedContext } from "../../api/wanted_context.ts";
import { APP_HEADER, LIMITS_HEADER, writeLimits } from "../../api/limits.ts";
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { KNOWN_SUITES, parseRequestHeader } from "../../sealed/header.ts";
import { MEMBER_HEADER } from "../../sealed/member.ts";
import { parseModelName } from "../../api/model_name.ts";
import { countUsed, recordedExchange, resultOf } from "../audit.ts";
import { type GatewayContext, labelOf } from "../context.ts";
import type { ManagementEnv } from "../management.ts";
import { askedModel } from "../asked_model.ts";
import { type Admission, settle } from "../limits.ts";
import { elsewhere, silence } from "../place.ts";
import { relay } from "../relay.ts";
import { type Asking, shareOf } from "../share.ts";
import { proxyOf } from "./plain.ts";
import type { LoadedModel } from "../../supervisor/supervisor.ts";

/** magic 4 + suite 1 + flags 1 + rk 8 + length 1 + id 255. */
const MAX_HEADER_BYTES = 270;

export function sealedRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  app.get(ROUTES.sealedKey.path, async (c) => {
    return await keyDocument(context, c.env, new URL(c.req.url).searchParams, c.req.raw.signal);
  });

  app.post(ROUTES.sealedRequest.path, async (c) => {
    return await sealedRequest(context, c.env, c.req.raw);
  });
}

async function keyDocument(
  context: GatewayContext,
  env: Asking,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<Response> {
  const [name, id, c] = ["model", "id", "c"].map((key) =>
    query.getAll(key).length === 1 ? query.get(key)! : ""
  );
  const suites = query.getAll("suite");
  const contexts = query.getAll("ctx");
  const contextLength = parseWantedContext(contexts[0] ?? "");
  if (
    !name || !id || id.length > 255 || !/^[0-9a-f]{32}$/.test(c!) || suites.length > 1 ||
    (suites.length === 1 && !/^\d{1,3}$/.test(suites[0]!)) ||
    contexts.length > 1 || contexts.length === 1 && contextLength === undefined
  ) {
    throw new SecLlamaError(
      "malformed",
      "the key request needs model, id and c (16 random bytes in hex), and may have a suite, and ctx, a power of two",
    );
  }
  const suite = Number(suites[0] ?? 1);
  if (!KNOWN_SUITES.includes(suite)) {
    throw new SecLlamaError("unsupported-suite", `suite ${suite} is unknown`, {
      hint: `the suites are ${KNOWN_SUITES.join(" and ")}`,
    });
  }
  // A key id that nobody holds must not make a model load.
  if (!await context.supervisor.keys.knows(id)) {
    throw silence(context.fleet, id) ?? new SecLlamaError("auth", "authentication failed");
  }
  // No model is loaded for an exchange that could not be recorded.
  await context.audit?.admit();
  const { supervisor } = context;
  const asked = askedModel(name);
  const { canonical } = parseModelName(asked);
  context.limits.check(id, canonical);
  const other = await elsewhere(context, { pskId: id, model: canonical });
  if (other !== undefined) return other;
  const client = shareOf(env, id);
  const { model, waitedMs } = await supervisor.acquire(asked, { client, contextLength });
  const word = supervisor.keys.attest(model.runner, id, { model: canonical, challenge: c! });
  // Gone while the model was loaded.
  if (word === undefined) throw new SecLlamaError("auth", "authentication failed");
  supervisor.keys.give(model.runner, id);
  const { exchange, ...on } = model.open(
    { kind: "key", id, c: c!, model: canonical, waitedMs, suite, ...word },
    { client, shared: supervisor.keys.shared },
  );
  const answer = await relay(exchange, {
    kind: "key",
    body: null,
    first: undefined,
    signal,
    ...on,
  });
  nameRunner(answer.headers, model.recipients, labelOf(context));
  const member = context.fleet?.member;
  if (member !== undefined) answer.headers.set(MEMBER_HEADER, member);
  return answer;
}

/** Completes the runner's word on which of its keys the answer has with the host's label; a word that is not true is dropped. */
function nameRunner(headers: Headers, recipients: readonly string[], label: string): void {
  const rk = headers.get(RUNNER_HEADER);
  headers.delete(RUNNER_HEADER);
  if (rk !== null && recipients.includes(rk)) headers.set(RUNNER_HEADER, runnerName(rk, label));
}

/**
 * A balancer goes by the header, we by the body: where they differ, somebody on the way is wrong.
 * @throws {SecLlamaError} `malformed`.
 */
function checkRunnerName(value: string | null, rk: string): void {
  if (value === null || namedRunner(value) === rk) return;
  throw new SecLlamaError("malformed", `${RUNNER_HEADER} names another key than the request`, {
    hint: "send it as it came with the key document, or not at all",
  });
}

async function sealedRequest(
  context: GatewayContext,
  env: Asking,
  request: Request,
): Promise<Response> {
  if (
    request.headers.get("content-type")?.replace(/\s/g, "") !== SEALED_TYPE ||
    request.headers.has("content-encoding")
  ) {
    throw new SecLlamaError(
      "plaintext-refused",
      `the body of POST ${ROUTES.sealedRequest.path} must be a sealed request`,
      {
        hint: `send plaintext requests to the proxy: ${proxyOf(context)}`,
      },
    );
  }
  const reader = request.body?.getReader();
  if (!reader) throw new SecLlamaError("malformed", "the request has no body");
  let first = new Uint8Array(0);
  for (;;) {
    const header = parseRequestHeader(first);
    if (header !== "need-more") {
      checkRunnerName(request.headers.get(RUNNER_HEADER), header.rk);
      await context.audit?.admit();
      // By this, a client that was revoked just now finds its key gone from the runner.
      // A program's role may have been changed, too.
      const fresh = request.headers.has(APP_HEADER);
      const isKnown = await context.supervisor.keys.knows(header.pskId, fresh);
      const silent = isKnown ? undefined : silence(context.fleet, header.pskId);
      if (silent !== undefined) {
        void reader.cancel().catch(() => {});
        throw silent;
      }
      await context.supervisor.dropReplaced(header.rk);
      const client = shareOf(env, isKnown ? header.pskId : undefined);
      // From here to its opening nothing is waited for: the model could leave meanwhile.
      const model = context.supervisor.byRecipient(header.rk, client);
      if (!model) {
        void reader.cancel().catch(() => {});
        throw new SecLlamaError(
          "key-mismatch",
          "no runner holds the key that the request was sealed to",
          {
            hint: HINTS.keyDocument,
          },
        );
      }
      return await admitted(context, {
        model,
        client,
        request,
        reader,
        first,
        pskId: header.pskId,
      });
    }
    if (first.length > MAX_HEADER_BYTES) {
      throw new SecLlamaError("malformed", "the request's header is malformed");
    }
    const { done, value } = await reader.read();
    if (done) throw new SecLlamaError("malformed", "the request ended inside its header");
    first = concat(first, value);
  }
}

/** A request whose runner is known: counted, given its key, and relayed. Up to the opening nothing is waited for. */
async function admitted(context: GatewayContext, o: {
  readonly model: LoadedModel;
  readonly client: string;
  readonly pskId: string;
  readonly request: Request;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly first: Uint8Array;
}): Promise<Response> {
  const { model, client, pskId, request, reader, first } = o;
  let admission: Admission;
  try {
    admission = context.limits.admit(pskId, request.headers.get(APP_HEADER), model.name);
  } catch (error) {
    void reader.cancel().catch(() => {});
    throw error;
  }
  const { ticket, fields, terms } = admission;
  let unfollow = () => {};
  try {
    context.supervisor.keys.give(model.runner, pskId);
    const { exchange, arrived, done } = model.open(
      { kind: "sealed", ...(terms === undefined ? {} : { terms }) },
      { client, shared: context.supervisor.keys.shared },
    );
    unfollow = admission.follow((error) => exchange.cancel(error.code, error));
    const used = countUsed(context, model, exchange, terms, (tokens) => ticket?.used(tokens));
    const { ending } = recordedExchange(context, { who: fields, model, kind: "sealed", used });
    const response = await relay(exchange, {
      kind: "sealed",
      body: reader,
      first,
      signal: request.signal,
      arrived,
      done() {
        done();
        unfollow();
        ticket?.end();
      },
      async ending(end) {
        settle(ticket, resultOf(used, end));
        await ending?.(end);
      },
    });
    if (ticket !== undefined) response.headers.set(LIMITS_HEADER, writeLimits(ticket.limits()));
    return response;
  } catch (error) {
    settle(ticket, toSecLlamaError(error).code);
    unfollow();
    ticket?.end();
    throw error;
  }
}
