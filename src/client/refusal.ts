/** Answers of the gateway that are not a sealed reply, read as errors. */
import { utf8Decode } from "../bytes.ts";
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { fromProblem } from "../api/problems.ts";

const UNKNOWN_KEY =
  "the key of this side is not, or no more, one that the gateway takes; a paired machine is paired anew " +
  "on the host: secllama pair NAME --replace --url …";

/** No error document is longer; what follows is not read. */
const MAX_BYTES = 64 * 1024;

/** For answers without a problem document, as a proxy on the way may give them. */
const BY_STATUS: { readonly [status: number]: ErrorCode } = {
  401: "auth",
  409: "replay",
  413: "too-large",
  415: "plaintext-refused",
  422: "key-mismatch",
  425: "clock",
  426: "plaintext-refused",
  503: "busy",
};

/**
 * The gateway said no. Kept apart from errors found on this side, since only the gateway's word may lead to a retry: a
 * reply or a key that does not verify here must never be tried again.
 */
export class GatewayRefusal extends Error {
  readonly error: SecLlamaError;
  /** Of the HTTP answer. */
  readonly status: number;
  /** How long the answer asks to wait, ms; undefined: it does not say. */
  readonly retryAfterMs: number | undefined;
  constructor(error: SecLlamaError, { status, headers }: Response) {
    super(error.message);
    this.error = error;
    this.status = status;
    const seconds = headers.get("retry-after") ?? "";
    this.retryAfterMs = /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
  }
}

/** Reads an answer whose status is not 2xx and lets go of its body. */
export async function readRefusal(response: Response): Promise<GatewayRefusal> {
  const document = await readJson(response).catch(() => undefined);
  const problem = fromProblem(document);
  if (problem?.code === "auth") {
    // The gateway has one text for every cause. What to do about it is the same for all.
    const error = new SecLlamaError("auth", problem.message, { hint: UNKNOWN_KEY });
    return new GatewayRefusal(error, response);
  }
  if (problem !== undefined) return new GatewayRefusal(problem, response);
  const code = BY_STATUS[response.status] ?? "gateway-unreachable";
  return new GatewayRefusal(
    new SecLlamaError(code, `the gateway answered with status ${response.status}`),
    response,
  );
}

/**
 * The JSON of a short answer.
 * @throws {SecLlamaError} `malformed` if it is longer than 64 KiB or not JSON.
 */
export async function readJson(response: Response): Promise<unknown> {
  const bytes = new Uint8Array(MAX_BYTES);
  let length = 0;
  // Not `for await`: in browsers a stream is not iterable everywhere.
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = await reader?.read() ?? { done: true };
    if (done) break;
    if (length + value.length > MAX_BYTES) {
      await reader!.cancel().catch(() => {});
      throw notJson();
    }
    bytes.set(value, length);
    length += value.length;
  }
  try {
    return JSON.parse(utf8Decode(bytes.subarray(0, length)));
  } catch {
    throw notJson();
  }
}

function notJson(): SecLlamaError {
  return new SecLlamaError("malformed", "the gateway's answer is not JSON");
}
