/** An identity provider and a browser for tests of signing in: npm's oidc-provider, and what fills in its forms. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import Provider from "oidc-provider";

const GRANTS = [
  "authorization_code",
  "refresh_token",
  "urn:ietf:params:oauth:grant-type:device_code",
];

/** An OpenID provider of this test. */
export interface Idp {
  readonly issuer: string;
  readonly groups: Map<string, string[]>;
  /** Whether it answers 503 to everything. */
  away: boolean;
  close(): Promise<void>;
}

/** A real one, npm's oidc-provider, on loopback. */
export async function startProvider(): Promise<Idp> {
  const groups = new Map<string, string[]>();
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  const server: Server = createServer((request, response) => handle(request, response));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const issuer = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "secllama",
      token_endpoint_auth_method: "none",
      application_type: "native",
      grant_types: GRANTS,
      response_types: ["code"],
      redirect_uris: ["http://127.0.0.1/callback"],
    }],
    scopes: ["openid", "offline_access", "email", "profile", "groups"],
    claims: {
      openid: ["sub"],
      email: ["email"],
      profile: ["preferred_username"],
      groups: ["groups"],
    },
    conformIdTokenClaims: false,
    features: { deviceFlow: { enabled: true } },
    cookies: { keys: ["of this test"] },
    findAccount: (_: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, groups: groups.get(id) ?? [] }),
    }),
  });
  provider.on("server_error", (_: unknown, error: unknown) => console.error(error));
  const callback = provider.callback();
  handle = (request, response) => {
    if (idp.away) response.writeHead(503).end();
    else callback(request, response);
  };
  const idp: Idp = {
    issuer,
    groups,
    away: false,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return idp;
}

/** A browser without a screen: it keeps cookies, follows redirects, and fills in the provider's own forms. */
export class Browser {
  readonly #cookies = new Map<string, string>();

  async open(address: string, init: RequestInit = {}): Promise<{ at: string; text: string }> {
    for (let at = address, how = init;;) {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const answer = await fetch(at, {
        ...how,
        headers: { ...how.headers as Record<string, string>, cookie },
        redirect: "manual",
      });
      for (const line of answer.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
        this.#cookies.set(name!, value!);
      }
      const next = answer.headers.get("location");
      const text = await answer.text();
      if (next === null) return { at, text };
      at = new URL(next, at).href;
      how = {};
    }
  }

  /** Sends the page's form, with what is typed into it. */
  async submit(page: { at: string; text: string }, typed: Record<string, string>) {
    const action = /<form[^>]*action="([^"]+)"/.exec(page.text)?.[1];
    assert.ok(action, page.text.slice(0, 2_000));
    const body = new URLSearchParams(typed);
    for (const [input] of page.text.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
      const [name, value] = ["name", "value"].map((key) =>
        new RegExp(`${key}="([^"]*)"`).exec(input!)?.[1]
      );
      if (name !== undefined && !body.has(name)) body.set(name, value ?? "");
    }
    return await this.open(new URL(action.replaceAll("&amp;", "&"), page.at).href, {
      method: "POST",
      body,
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
  }

  async signIn(page: { at: string; text: string }, who: string) {
    const consent = await this.submit(page, { prompt: "login", login: who, password: "any" });
    return await this.submit(consent, { prompt: "consent" });
  }
}

/** The lines of two streams, as they come. */
export function mergedLines(
  ...streams: ReadableStream<Uint8Array>[]
): AsyncGenerator<string, undefined> {
  const lines: string[] = [];
  let open = streams.length;
  let wake = () => {};
  for (const stream of streams) {
    void (async () => {
      for await (const line of linesOf(stream)) {
        lines.push(line);
        wake();
      }
      open--;
      wake();
    })();
  }
  return (async function* () {
    for (;;) {
      while (lines.length > 0) yield lines.shift()!;
      if (open === 0) return undefined;
      await new Promise<void>((resolve) => wake = resolve);
    }
  })();
}

/** The lines of a stream, as they come. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of stream) {
    text += decoder.decode(piece, { stream: true });
    const lines = text.split("\n");
    text = lines.pop()!;
    yield* lines;
  }
  return text;
}

/** Gets the lines of `login` as they come, and drives the browser. */
export type Act = (lines: AsyncIterator<string>, browser: Browser) => Promise<void>;

/** Runs `login` to its end, with somebody at the browser. @returns `said`: the lines that `act` left. */
export async function loginBy(
  [program, ...args]: readonly string[],
  act: Act,
  at: { readonly env: Record<string, string>; readonly cwd: string },
): Promise<{ code: number; said: string; error: string }> {
  const child = new Deno.Command(program!, {
    args,
    ...at,
    clearEnv: true,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  const lines = linesOf(child.stdout);
  await act(lines, new Browser());
  const left: string[] = [];
  for (let next = await lines.next(); !next.done; next = await lines.next()) left.push(next.value);
  const { code } = await child.status;
  return { code, said: left.join("\n"), error: await errors };
}
