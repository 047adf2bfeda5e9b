/** `/sealed/v1/sign-in` and `/secllama/session`: people, by the ID tokens of the firm's identity provider. */
import type { Hono } from "hono";
import { readJson } from "../../api/body.ts";
import { ROUTES } from "../../api/routes.ts";
import { SIGN_IN_INFO, SIGN_IN_SCOPE } from "../../api/sign_in.ts";
import { type Bytes, fromBase64Url, toBase64Url, utf8 } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import type { IdTokens, Person, SignInTerms } from "../../firm/id_tokens.ts";
import { type ClientSource, type PairedClient, type RingSource, sealerTo } from "../../keys/mod.ts";
import { label } from "../../log.ts";
import type { GatewayContext } from "../context.ts";
import type { ManagementEnv } from "../management.ts";

/** What the routes need; the gateway has it where an identity provider is configured. */
export interface SignIn {
  readonly terms: SignInTerms;
  readonly tokens: Pick<IdTokens, "check">;
  readonly keys: ClientSource & RingSource;
}

export function signInRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  const { signIn } = context;
  if (signIn === undefined) return;
  const { issuer, clientId } = signIn.terms;
  app.get(
    ROUTES.signIn.path,
    (c) => c.json({ issuer, client_id: clientId, scope: SIGN_IN_SCOPE }),
  );
  app.post(ROUTES.signIn.path, async (c) => {
    const body = await readJson(c.req.raw, ROUTES.signIn);
    return c.json(await begin(context, signIn, textField(body, "id_token"), keyField(body)));
  });
  app.post(ROUTES.session.path, async (c) => {
    const body = await readJson(c.req.raw, ROUTES.session);
    // Whose session it is says the proof, also where a gateway asks for none.
    return c.json(await goOn(context, signIn, c.get("proven"), textField(body, "id_token")));
  });
}

async function begin(context: GatewayContext, signIn: SignIn, token: string, publicKey: Bytes) {
  await context.audit?.admit();
  const sealTo = await sealerTo(publicKey);
  const person = await signIn.tokens.check(token, publicKey);
  const role = roleOf(context, person);
  const client = await signIn.keys.clients().signIn({
    ...person,
    role,
    expires: endOf(signIn.terms),
  });
  // Before the client has its key: what is not recorded is not given.
  await context.audit?.record("client-paired", fieldsOf(client));
  const bound = { info: SIGN_IN_INFO, aad: utf8(token) };
  const sealed = await sealTo(signIn.keys, client.id, bound);
  return { sealed: toBase64Url(sealed), name: client.name, role, expires: client.expires };
}

/** Whoever is no member any more is out at once. A failure of this host throws nobody out. */
async function goOn(
  context: GatewayContext,
  signIn: SignIn,
  pskId: string | undefined,
  token: string,
) {
  const [kind, , id] = (pskId ?? "").split(".");
  const registry = signIn.keys.clients();
  const { clients } = await registry.read();
  const client = kind === "client" ? clients.find((one) => one.id === id) : undefined;
  if (client?.subject === undefined || client.revoked !== null) {
    throw new SecLlamaError("auth", "a session is a signed-in person's own", {
      hint: "sign in: secllama login",
    });
  }
  await context.audit?.admit();
  const person = await signIn.tokens.check(token, undefined);
  if (person.subject !== client.subject) throw new SecLlamaError("auth", "another person's token");
  if (person.role === undefined) {
    const ended = await registry.revoke(client.id);
    await context.audit?.record("client-revoked", fieldsOf(ended));
  }
  const role = roleOf(context, person);
  const next = await registry.assign(client.id, { role, expires: endOf(signIn.terms) });
  await context.audit?.record("client-changed", fieldsOf(next));
  return { name: next.name, role, expires: next.expires };
}

/** @throws {SecLlamaError} `role-refused` for who is in no group that is let in. */
function roleOf({ audit }: GatewayContext, { role, name }: Person): string {
  if (role !== undefined) return role;
  audit?.refused("role-refused", { client: label(name) });
  throw new SecLlamaError("role-refused", `${name} is in no group that may come here`, {
    hint: "the administrator names the groups in SECLLAMA_OIDC_ROLES",
  });
}

function endOf({ sessionMs }: SignInTerms): string {
  return new Date(Date.now() + sessionMs).toISOString();
}

function fieldsOf({ name, id, role, expires }: PairedClient) {
  return {
    client: label(name),
    client_id: label(id.slice(0, 8)),
    kind_of_client: label("person"),
    role: label(role ?? ""),
    expires: label(expires ?? ""),
  };
}

function textField(body: Record<string, unknown>, name: string): string {
  const value = body[name];
  if (typeof value === "string" && value !== "") return value;
  throw new SecLlamaError("bad-request", `${name} must be a text`, { field: name });
}

function keyField(body: Record<string, unknown>): Bytes {
  try {
    return fromBase64Url(textField(body, "pk"));
  } catch {
    throw new SecLlamaError("bad-request", "pk must be base64url without padding", { field: "pk" });
  }
}
