/**
 * The page that people type in, and the part of the proxy that is for it: what its requests may be, and the replies that it may ask
 * for again.
 */
import { JSON_TYPE } from "../api/media_types.ts";
import { RECEIPT_HEADER, RECEIPT_SECRET_HEADER, RECEIPT_WANTED } from "../api/receipt.ts";
import type { Receipt } from "../api/reply_lines.ts";
import { canonicalPath, notServed, routeOf, ROUTES, takes } from "../api/routes.ts";
import { readTruncated } from "../api/truncated.ts";
import { utf8 } from "../bytes.ts";
import type { SealedFetch } from "../client/mod.ts";
import type { NewMessage } from "../api/history.ts";
import type { Logger } from "../log.ts";
import { logFailure } from "./failure.ts";
import { standingOf } from "./standing.ts";
import { Entrance } from "./page/entrance.ts";
import { PAGE_HEADERS, type PageFile, pageFiles } from "./page/files.ts";
import { Replies } from "./page/replies.ts";

/** All that is the page's begins so, but for the proxy's proof of itself. */
const OWN = /^\/secllama\//;

/** What the page's part of the proxy needs. */
export interface PageOptions {
  /** Seals: `sealedFetch` of src/client. */
  readonly fetch: (input: string, init: RequestInit) => Promise<Response>;
  /** Where `/api/chat` of the gateway is. */
  readonly chatUrl: string;
  /** What the gateway said of itself, outside of any seal. */
  readonly outer: SealedFetch["outer"];
  /** Puts an answer into the history; absent: nothing is kept. */
  readonly save?: (conversation: string, message: NewMessage) => Promise<{ id: string }>;
  /** Gets what went wrong with a reply, which is told in the reply alone. */
  readonly logger: Logger;
  /** Aborted: the proxy ends. */
  readonly signal: AbortSignal;
  /** The launch secret, 32 random bytes in base64url; null where the kernel names the user of a connection. */
  readonly launch: string | null;
}

/** The page's part of the proxy. */
export interface Page {
  /**
   * Answers what is the page's; undefined: it is not.
   * @throws {SecLlamaError} `origin-refused`, `auth`, and what each path has.
   */
  answer(request: Request, path: string): Promise<Response | undefined>;
  /**
   * Whether a request is answered where all others show a token: it is for the page's own program, or of a browser that showed the
   * launch secret.
   */
  admits(request: Request): boolean;
  /** Settles, after the signal, when what had come of each answer is kept. */
  settled(): Promise<void>;
}

/** Opens it. Where the page's script was not bundled there is no page, but what is below `/secllama/` is guarded all the same. */
export async function openPage(options: PageOptions): Promise<Page> {
  const files = await pageFiles(options.launch === null);
  const entrance = new Entrance(options.launch);
  const replies = new Replies({
    signal: options.signal,
    onFailed: (error) => logFailure(options.logger, error),
    ...(options.save ? { save: options.save } : {}),
    ask: (body, signal) =>
      options.fetch(options.chatUrl, {
        method: "POST",
        headers: { "content-type": JSON_TYPE, [RECEIPT_HEADER]: RECEIPT_WANTED },
        body: utf8(JSON.stringify(body)),
        signal,
      }),
    receipt: (answer) => ({
      status: answer.status,
      ...standingOf(options.outer()),
      truncated: readTruncated(answer.headers) ?? null,
      ...receiptOf(answer.headers),
    }),
  });
  return {
    async answer(request, path) {
      const { method } = request;
      if (path === ROUTES.root.path) {
        const html = files.get(path);
        return html && takes(ROUTES.root, method) && wantsHtml(request)
          ? fileAnswer(html, method)
          : undefined;
      }
      if (!OWN.test(path) || path === ROUTES.identity.path) return undefined;
      const route = routeOf(path);
      // What is open to any page of ours is nothing but the program itself.
      const file = files.get(path);
      if (!file && route !== ROUTES.pageEnter) entrance.check(request);
      if (route?.kind !== "page") return undefined;
      if (method === "OPTIONS") return undefined;
      if (!takes(route, method)) throw notServed(method, route);
      if (file) return fileAnswer(file, method);
      const answer = route === ROUTES.pageEnter
        ? await entrance.enter(request)
        : await replies.answer(request);
      return withHeaders(answer);
    },
    admits(request) {
      const path = canonicalPath(new URL(request.url).pathname);
      if (path === ROUTES.root.path) return files.has(path) && wantsHtml(request);
      return files.has(path) || routeOf(path) === ROUTES.pageEnter || entrance.knows(request);
    },
    settled: () => replies.settled(),
  };
}

/** By what the exchange can be shown later; nothing of an answer that failed. */
function receiptOf(headers: Headers): Pick<Receipt, "id" | "secret"> {
  const [id, secret] = [headers.get(RECEIPT_HEADER), headers.get(RECEIPT_SECRET_HEADER)];
  return id === null || secret === null ? {} : { id, secret };
}

/** Only who names it: programs send a star, and are told what Ollama tells them. */
function wantsHtml(request: Request): boolean {
  return /(?:^|,)\s*text\/html\s*(?:;|,|$)/i.test(request.headers.get("accept") ?? "");
}

function fileAnswer({ type, bytes }: PageFile, method: string): Response {
  const headers = { ...PAGE_HEADERS, "content-type": type, vary: "Accept" };
  return new Response(method === "HEAD" ? null : bytes, { headers });
}

function withHeaders(answer: Response): Response {
  for (const [name, value] of Object.entries(PAGE_HEADERS)) answer.headers.set(name, value);
  return answer;
}
