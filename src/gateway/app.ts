/**
 * The gateway's routes. It faces the network and relays ciphertext: of the sealed format it knows the header only, and it
 * never holds a prompt or a reply. Everything that is not listed here is refused.
 */
import { Hono } from "hono";
import { errorResponse, toAskers } from "../api/errors.ts";
import {
  allowed,
  canonicalPath,
  notServed,
  type Route,
  routeOf,
  ROUTES,
  takes,
} from "../api/routes.ts";
import { RUNNING_TEXT } from "../api/texts.ts";
import { toSecLlamaError } from "../errors.ts";
import { logMisconfigured } from "../http/mod.ts";
import { label } from "../log.ts";
import { noteRefusal } from "./audit.ts";
import { type GatewayContext, isolationWord, labelOf } from "./context.ts";
import { crossOrigin } from "./cross_origin.ts";
import { type ManagementEnv, managementGuard } from "./management.ts";
import { placeOf, silence } from "./place.ts";
import { Nonces } from "./nonces.ts";
import { PROOF_NONCES, ProofGate } from "./proof.ts";
import { doctorRoutes } from "./routes/doctor.ts";
import { managementRoutes } from "./routes/management.ts";
import { metadataRoutes } from "./routes/metadata.ts";
import { pairingRoutes } from "./routes/pairing.ts";
import { plainRoutes } from "./routes/plain.ts";
import { sealedRoutes } from "./routes/sealed.ts";
import { signInRoutes } from "./routes/sign_in.ts";
import { securityRoutes } from "./routes/security.ts";

/** The gateway's HTTP application. */
export function makeGatewayApp(context: GatewayContext): Hono<ManagementEnv> {
  const app = new Hono<ManagementEnv>({
    getPath: (request) => canonicalPath(new URL(request.url).pathname),
  });
  const { config } = context;

  app.use("*", async (c, next) => {
    await next();
    // Every answer says what protects it; a weakening that is only in a log would be silent.
    c.res.headers.set("Secllama-Encryption", config.enableEncryption ? "sealed" : "off");
    c.res.headers.set("Secllama-Isolation", isolationWord(context));
    if (context.management) c.res.headers.set("Secllama-Model-Management", "on");
    c.res.headers.set("X-Content-Type-Options", "nosniff");
    if (!c.res.headers.has("Cache-Control")) c.res.headers.set("Cache-Control", "no-store");
  });

  app.use("*", crossOrigin(config.allowedOrigins));
  const gate = new ProofGate({
    nonces: new Nonces(PROOF_NONCES),
    proofKey: (id) => context.supervisor.keys.proofKey(id),
    onProven(id) {
      context.activity.came(id);
      context.supervisor.keys.confirm(id);
    },
    required: context.remote,
    label: () => labelOf(context),
    place: ({ pskId, target, hid }) => placeOf(context, { pskId, target, without: hid }),
    silence: (id) => silence(context.fleet, id),
    onRefused: (code) => context.audit?.answered?.(code),
  });
  app.use("*", gate.middleware());

  app.use("*", managementGuard(context.management, context.remote));
  app.use("*", async (c, next) => {
    const { method, path } = c.req;
    const route = servedHere(context, path);
    if (route && method === "OPTIONS") return c.body(null, 204, { allow: allowed(route) });
    // Hono would take HEAD wherever it takes GET.
    if (!route || !takes(route, method)) throw notServed(method, route);
    return await next();
  });
  app.get(ROUTES.root.path, (c) => c.text(RUNNING_TEXT));
  app.get(ROUTES.health.path, (c) => c.json({ status: "ok" }));
  // Which part fails is for the operator: the metrics' port says it.
  app.get(ROUTES.ready.path, async (c) => {
    const isReady = (await context.notReady()).length === 0;
    return c.json({ status: isReady ? "ready" : "not-ready" }, isReady ? 200 : 503);
  });
  metadataRoutes(app, context);
  securityRoutes(app, context);
  doctorRoutes(app, context);
  sealedRoutes(app, context);
  pairingRoutes(app, context);
  signInRoutes(app, context);
  if (context.management) managementRoutes(app, context, context.management);
  plainRoutes(app, context);

  app.notFound((c) => errorResponse(notServed(c.req.method, undefined), c.req.path, c.req.method));
  app.onError((error, c) => {
    const e = toSecLlamaError(error);
    noteRefusal(context.audit, e);
    context.audit?.answered?.(toAskers(e).code);
    logMisconfigured(context.logger, e);
    if (e.code === "internal") {
      context.logger.error("internal-error", { at: label(firstFrame(e.cause)) });
    }
    return errorResponse(e, c.req.path, c.req.method);
  });
  return app;
}

/** The row of a path that is answered here: not what the proxy has for itself, nor what this host was not set up for. */
function servedHere({ remote, offers, signIn }: GatewayContext, path: string): Route | undefined {
  const route = routeOf(path);
  switch (route?.kind) {
    case "identity":
    case "history":
    case "page":
      return undefined;
  }
  if (route === ROUTES.pairing && !(remote && offers)) return undefined;
  if ((route === ROUTES.signIn || route === ROUTES.session) && !signIn) return undefined;
  return route;
}

function firstFrame(cause: unknown): string {
  const line = cause instanceof Error
    ? (cause.stack ?? "").split("\n").find((l) => /^\s+at /.test(l))
    : undefined;
  return (line ?? "unknown").trim().split("/").slice(-2).join("/");
}
