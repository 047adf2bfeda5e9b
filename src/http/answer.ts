/** What one request is answered with: what the handler says, or an error in the words of its path. */
import { type SecLlamaError, toSecLlamaError } from "../errors.ts";
import { label, type Logger } from "../log.ts";
import type { Head } from "./head.ts";
import type { RequestBody } from "./request_body.ts";
import type { Rules } from "./rules.ts";

/** Who sent a request. */
export interface RequestInfo {
  /** The other end of the connection. */
  readonly peer: Deno.NetAddr;
  /** Whose shares it counts for: a user of this machine, or an address. */
  readonly party: string;
}

/** What answers a request. What it throws becomes an error answer without detail. */
export type Handler = (request: Request, info: RequestInfo) => Response | Promise<Response>;

/** A request whose head has come. */
interface Asked {
  readonly path: string;
  readonly body: RequestBody;
  readonly info: RequestInfo;
  /** Of a page that may read the answer. */
  readonly origin: string | undefined;
  readonly handler: Handler;
  readonly rules: Rules;
  readonly logger: Logger;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Called once the handler may read the body. */
  readonly onReading: () => void;
}

/** Never throws. */
export async function answer(head: Head, o: Asked): Promise<Response> {
  const { path, body, origin, rules, logger } = o;
  const refusal = (error: SecLlamaError) => {
    const { status, headers, body } = rules.render(error, path, origin);
    return new Response(body, { status, headers });
  };
  const field = (wanted: string) => head.fields.find(([name]) => name === wanted)?.[1] ?? null;
  if (head.contentLength !== 0) {
    const headers = { type: field("content-type"), encoding: field("content-encoding") };
    const refused = rules.refusedBody(path, headers);
    if (refused) return refusal(refused);
  }
  try {
    const init = body.init();
    const request = new Request(`http://${head.host}${head.target}`, {
      method: head.method,
      headers: head.fields as [string, string][],
      body: init,
      signal: o.signal,
    });
    o.onReading();
    return await o.handler(request, o.info);
  } catch (error) {
    // The handler passed on why it could not read the body, or failed by itself.
    const e = body.error ?? toSecLlamaError(error);
    if (e.code === "internal") {
      logger.error("handler-failed", { error: label((error as Error)?.name ?? "unknown") });
    }
    return refusal(e);
  }
}
