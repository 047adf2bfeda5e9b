/**
 * Who may use the page. A browser names the page that asks (`Origin`, `Sec-Fetch-Site`), and the listener has refused all but our
 * own origin and desktop programs; these have no business here. Whose connection it is the kernel says on Linux. Where it
 * does not, and where programs show tokens, a launch secret that only this user can read makes a cookie of this browser.
 */
import { collect, parseJsonObject } from "../../api/body.ts";
import { refusedRequestBody } from "../../api/listener_rules.ts";
import { LAUNCH_HEADER } from "../../api/proxy_identity.ts";
import { ROUTES } from "../../api/routes.ts";
import { equalConstantTime, toBase64Url, utf8 } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";

/** Lax would be sent when another site links here. */
const COOKIE_FLAGS = "Path=/; HttpOnly; SameSite=Strict";
/** A paste of the whole address is one. */
const SECRET = /^[\w-]{43}$/;

export class Entrance {
  /** null: the kernel says who connects. */
  readonly #launch: string | null;
  /** What a browser got for it, apart from it: a cookie goes to every port of this host. */
  readonly #cookie: string;

  /** @param launch 32 random bytes in base64url; null where the kernel names the user of a connection. */
  constructor(launch: string | null) {
    this.#launch = launch;
    this.#cookie = toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
  }

  /**
   * Whether a request for `/secllama/…` may be answered.
   * @throws {SecLlamaError} `origin-refused` for a page that is not ours, `auth` without the cookie where one is needed.
   */
  check(request: Request): void {
    if (isForeign(request)) {
      throw new SecLlamaError("origin-refused", "only the page itself may ask for this", {
        hint: "conversations are for the page of this proxy: secllama ui",
      });
    }
    if (this.#launch === null || this.#holdsCookie(request) || this.#holdsSecret(request)) return;
    throw new SecLlamaError("auth", "this browser has not been let in yet", {
      hint: HINTS.openPage,
    });
  }

  /** Whether it is of a browser that showed the launch secret, and of our own page there. */
  knows(request: Request): boolean {
    return this.#launch !== null && !isForeign(request) && this.#holdsCookie(request);
  }

  /** Takes the launch secret for a cookie. @throws {SecLlamaError} `auth`, `bad-request`. */
  async enter(request: Request): Promise<Response> {
    const refused = refusedRequestBody(request, ROUTES.pageEnter);
    if (refused) throw refused;
    const body = parseJsonObject(await collect(request.body, ROUTES.pageEnter.maxBytes));
    if (this.#launch === null) return new Response(null, { status: 204 });
    const secret = body["launch"];
    if (typeof secret !== "string" || !SECRET.test(secret) || !equal(secret, this.#launch)) {
      throw new SecLlamaError("auth", "this is not the launch secret of the proxy that runs", {
        hint: HINTS.openPage,
      });
    }
    const cookie = `${cookieName(request)}=${this.#cookie}; ${COOKIE_FLAGS}`;
    return new Response(null, { status: 204, headers: { "set-cookie": cookie } });
  }

  /** Our own commands show it in a header that no page can set without being asked first (Fetch standard, section 2.2.2). */
  #holdsSecret(request: Request): boolean {
    const shown = request.headers.get(LAUNCH_HEADER);
    return shown !== null && this.#launch !== null && equal(shown, this.#launch);
  }

  #holdsCookie(request: Request): boolean {
    const name = `${cookieName(request)}=`;
    const held = (request.headers.get("cookie") ?? "").split(/; */).find((c) => c.startsWith(name));
    return held !== undefined && equal(held.slice(name.length), this.#cookie);
  }
}

/** Whether a page of another origin asks. */
function isForeign(request: Request): boolean {
  const said = request.headers.get("origin");
  return said !== null && said.toLowerCase() !== new URL(request.url).origin.toLowerCase();
}

/** Two proxies of one host have a cookie each. */
function cookieName(request: Request): string {
  return `secllama-page-${new URL(request.url).port}`;
}

function equal(a: string, b: string): boolean {
  return equalConstantTime(utf8(a), utf8(b));
}
