/**
 * `POST /secllama/doctor`: the whole doctor, as `secllama doctor --json` prints it, for the user who serves. It costs the machine some
 * ten seconds, so that nobody else may ask for it, and one runs at a time.
 */
import type { Hono } from "hono";
import { readJson } from "../../api/body.ts";
import { NDJSON_TYPE } from "../../api/media_types.ts";
import { ROUTES } from "../../api/routes.ts";
import { type Bytes, utf8 } from "../../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import type { GatewayContext } from "../context.ts";
import type { ManagementEnv } from "../management.ts";
import { isOwnUsers } from "../own_user.ts";

/** Runs it, and gives its report. @throws {SecLlamaError} `internal` if it came to none. */
export type Doctor = (signal: AbortSignal) => Promise<unknown>;

/** A line so often, so that nobody on the way takes it for dead. */
const BEAT_MS = 1000;

export function doctorRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  let running = false;
  app.post(ROUTES.doctor.path, async (c) => {
    await readJson(c.req.raw, ROUTES.doctor);
    const { doctor, remote } = context;
    if (doctor === undefined || !isOwnUsers(c.env, remote)) {
      throw new SecLlamaError("management-refused", "the doctor is for the host's own user", {
        hint: "on the host itself: secllama doctor",
      });
    }
    if (running) {
      throw new SecLlamaError("busy", "the doctor is running already", {
        hint: "wait for it: it takes some ten seconds",
      });
    }
    running = true;
    const lines = linesOf(doctor, c.req.raw.signal, () => running = false);
    return c.body(lines, 200, { "content-type": NDJSON_TYPE });
  });
}

/** `{"running": seconds}` again and again, and then `{"report": …}` or an error. */
function linesOf(doctor: Doctor, signal: AbortSignal, onEnd: () => void): ReadableStream<Bytes> {
  const ending = new AbortController();
  const line = (document: object) => utf8(JSON.stringify(document) + "\n");
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream<Bytes>({
    start(controller) {
      let seconds = 0;
      const put = (document: object) => {
        try {
          controller.enqueue(line(document));
        } catch { /* nobody reads it any more */ }
      };
      put({ running: seconds });
      timer = setInterval(() => put({ running: ++seconds }), BEAT_MS);
      doctor(AbortSignal.any([signal, ending.signal])).then(
        (report) => put({ report }),
        (error) => {
          const { message, code, hint } = toSecLlamaError(error);
          put({ error: message, code, ...(hint ? { hint } : {}) });
        },
      ).finally(() => {
        clearInterval(timer);
        onEnd();
        try {
          controller.close();
        } catch { /* it was cancelled */ }
      });
    },
    cancel() {
      clearInterval(timer);
      ending.abort();
    },
  });
}
