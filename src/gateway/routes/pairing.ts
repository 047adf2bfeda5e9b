/** `POST /sealed/v1/pair`: gives the credentials of a new client to whoever knows the one-time secret that the host shows. */
import type { Hono } from "hono";
import { readJson } from "../../api/body.ts";
import { ROUTES } from "../../api/routes.ts";
import { type Bytes, fromBase64Url, toBase64Url } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { label } from "../../log.ts";
import { secret } from "../../secret.ts";
import type { GatewayContext } from "../context.ts";
import type { ManagementEnv } from "../management.ts";

/** Only where other machines come, over TLS that they know by its fingerprint: elsewhere the path is 404. */
export function pairingRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  const { offers, remote, logger, audit } = context;
  if (!remote || offers === undefined) return;
  app.post(ROUTES.pairing.path, async (c) => {
    const body = await readJson(c.req.raw, ROUTES.pairing);
    using tried = secret(bytesField(body, "secret"));
    try {
      await audit?.admit();
      const { sealed, client, replaced } = await offers.redeem(tried, bytesField(body, "pk"));
      // Before the client has its key: what is not recorded is not given.
      await audit?.record("client-paired", {
        client: label(client.name),
        client_id: label(client.id.slice(0, 8)),
        replaced,
      });
      logger.info("paired");
      return c.json({ sealed: toBase64Url(sealed) });
    } catch (error) {
      if (error instanceof SecLlamaError) {
        logger.warn("pairing-failed", { code: label(error.code) });
      }
      throw error;
    }
  });
}

function bytesField(body: Record<string, unknown>, name: string): Bytes {
  const value = body[name];
  try {
    if (typeof value === "string") return fromBase64Url(value);
  } catch { /* said below */ }
  throw new SecLlamaError("bad-request", `${name} must be base64url without padding`, {
    field: name,
  });
}
