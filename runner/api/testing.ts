/** Shared by the tests of this folder: an API over a fake engine, and requests to it. */
import { type Api, type ApiOptions, makeApi } from "./app.ts";
import { FakeEngine, type FakeScript } from "./fake_engine.ts";

interface TestApi {
  readonly engine: FakeEngine;
  readonly api: Api;
  /** Every `keep_alive` the API announced. */
  readonly keepAlives: (number | "forever")[];
  post(path: string, body: unknown, signal?: AbortSignal): Promise<Response>;
}

/** An API for the model "demo:latest" that answers as the script says. */
export function testApi(script: FakeScript = {}, options: Partial<ApiOptions> = {}): TestApi {
  const engine = new FakeEngine(script);
  const keepAlives: (number | "forever")[] = [];
  const api = makeApi({
    engine,
    model: "demo:latest",
    onKeepAlive: (value) => keepAlives.push(value),
    version: "0.1.0",
    ...options,
  });
  const post = (path: string, body: unknown, signal?: AbortSignal) =>
    api.fetch(
      new Request(`http://runner${path}`, {
        method: "POST",
        body: typeof body === "string" || body instanceof Uint8Array
          ? body as BodyInit
          : JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      }),
      { client: "test" },
    );
  return { engine, api, keepAlives, post };
}

/** The lines of an NDJSON body, and how many chunks they came in. */
export async function readLines(
  response: Response,
): Promise<{ lines: Record<string, unknown>[]; chunks: number }> {
  const decoder = new TextDecoder();
  let text = "";
  let chunks = 0;
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true });
    chunks++;
  }
  return { lines: text.trimEnd().split("\n").map((line) => JSON.parse(line)), chunks };
}

/** The events of a server-sent-event body. */
export async function readEvents(
  response: Response,
): Promise<{ event: string | undefined; data: string }[]> {
  const text = await response.text();
  return text.split("\n\n").filter((block) => block !== "").map((block) => ({
    event: /^event: (.*)$/m.exec(block)?.[1],
    data: /^data: (.*)$/m.exec(block)![1]!,
  }));
}
