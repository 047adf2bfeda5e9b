/** `GET /api/security/status`: what was measured of the processes that run now. Nothing here is a constant of hope. */
import type { Hono } from "hono";
import { ROUTES } from "../../api/routes.ts";
import type { GatewayContext } from "../context.ts";
import type { ManagementEnv } from "../management.ts";
import { securityStatus } from "../security_status.ts";

export function securityRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  app.get(ROUTES.securityStatus.path, (c) => c.json(securityStatus(context)));
}
