/**
 * `POST /api/pull` where models are not managed over the network: a program that makes sure of its model this way is told that
 * it is here. Nothing is fetched and nothing changes; for a model that is not here the refusal stays.
 */
import { collect, parseJsonObject, requiredModel } from "../api/body.ts";
import { INFLATED, inflated } from "../api/inflate.ts";
import { refusedRequestBody } from "../api/listener_rules.ts";
import { JSON_TYPE, NDJSON_TYPE } from "../api/media_types.ts";
import { ROUTES } from "../api/routes.ts";
import { utf8 } from "../bytes.ts";
import type { SealedFetch } from "../client/mod.ts";

/** The answer for a model that is here; undefined: it is not, or the request is none. */
export async function pullOfPresent(
  request: Request,
  metadata: SealedFetch["metadata"],
): Promise<Response | undefined> {
  if (refusedRequestBody(request, ROUTES.pull, INFLATED) !== undefined) return undefined;
  let body: Record<string, unknown>;
  let model: string;
  try {
    body = parseJsonObject(await collect(inflated(request), ROUTES.pull.maxBytes));
    model = requiredModel(body);
  } catch {
    return undefined;
  }
  const shown = await metadata(ROUTES.show.path.slice(1), {
    method: "POST",
    body: utf8(JSON.stringify({ model })),
    headers: { "content-type": JSON_TYPE },
    signal: request.signal,
  });
  await shown.body?.cancel();
  if (!shown.ok) return undefined;
  if (body["stream"] === false) return Response.json({ status: "success" });
  const lines = [{ status: "pulling manifest" }, { status: "success" }];
  return new Response(lines.map((line) => JSON.stringify(line) + "\n").join(""), {
    headers: { "content-type": NDJSON_TYPE },
  });
}
