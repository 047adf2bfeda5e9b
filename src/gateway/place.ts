/** Which host of a fleet is asked for a model, said to a client with 421 before its model is looked for here. */
import { ROUTES } from "../api/routes.ts";
import { parseModelName } from "../api/model_name.ts";
import { errorResponse } from "../api/errors.ts";
import { SecLlamaError } from "../errors.ts";
import { HOST_HEADER } from "../sealed/member.ts";
import { askedModel } from "./asked_model.ts";
import type { FleetPart, GatewayContext } from "./context.ts";
import { OtherHost } from "./proof.ts";

/** For a client that may come to any host: the one that is to have it. Undefined: this one, as for all that names no model. */
export function placeOf(
  { fleet }: GatewayContext,
  { pskId, target, without }: { pskId: string; target: string; without: string },
): string | undefined {
  const url = new URL(target, "http://gateway");
  const name = url.searchParams.get("model");
  if (fleet === undefined || url.pathname !== ROUTES.sealedKey.path || !name) return undefined;
  try {
    const model = parseModelName(askedModel(name)).canonical;
    return fleet.place({ client: clientOf(pskId), model, without, here: true });
  } catch {
    return undefined; // what the name is not is said to who has proved itself
  }
}

/** The answer to a fleet's client whose model this host does not have, and another has; undefined: it is to be looked for here. */
export async function elsewhere(
  context: GatewayContext,
  { pskId, model }: { pskId: string; model: string },
): Promise<Response | undefined> {
  const { fleet, models } = context;
  if (fleet === undefined || !isClientOf(fleet, pskId)) return undefined;
  try {
    await models.resolve(model);
    return undefined;
  } catch (error) {
    if (!(error instanceof SecLlamaError && error.code === "model-not-found")) throw error;
  }
  const host = fleet.place({ client: clientOf(pskId), model, here: false });
  if (host === undefined) return undefined;
  const answer = errorResponse(new OtherHost(host), ROUTES.sealedKey.path, "GET");
  answer.headers.set(HOST_HEADER, host);
  return answer;
}

/**
 * What a client is told that this host does not know: where the fleet's time is over here, another host may know it. It is said to
 * whoever names a client's key, and `/readyz` says the same to all. Undefined: it is nobody's.
 */
export function silence(
  fleet: Pick<FleetPart, "member"> | undefined,
  pskId: string,
): SecLlamaError | undefined {
  if (fleet === undefined || fleet.member !== undefined || !pskId.startsWith("client.")) {
    return undefined;
  }
  return new SecLlamaError(
    "fleet-silent",
    "this host has had no word of the fleet's issuer for too long, or was taken out of the fleet",
    { hint: "ask again: the balancer sends it to another host" },
  );
}

/** Whether the fleet's other hosts know this psk_id's holder too. A host may have paired clients of its own besides. */
export function isClientOf(fleet: Pick<FleetPart, "hasClient">, pskId: string): boolean {
  return pskId.startsWith("client.") && fleet.hasClient(clientOf(pskId));
}

/** The same one under each of its keys. */
function clientOf(pskId: string): string {
  return pskId.split(".")[2] ?? pskId;
}
