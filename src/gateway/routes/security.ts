/** `GET /api/security/status`: what was measured of the processes that run now. Nothing here is a constant of hope. */
import type { Hono } from "hono";
import { ROUTES } from "../../api/routes.ts";
import { type GatewayContext, isolationWord } from "../context.ts";
import type { ManagementEnv } from "../management.ts";

export function securityRoutes(app: Hono<ManagementEnv>, context: GatewayContext): void {
  app.get(ROUTES.securityStatus.path, (c) => {
    const { config, supervisor } = context;
    return c.json({
      schema: 1,
      version: context.version,
      encryption: {
        enabled: config.enableEncryption,
        format: "sealed/1",
        plaintext_requests: config.enableEncryption ? "refused" : "served",
      },
      isolation: {
        level: isolationWord(context),
        sandbox: config.enableSandbox,
        strict: config.strictNetworkIsolation,
      },
      model_management: context.management ? "on, for this user on loopback" : "off",
      gpu: supervisor.gpu.status(),
      key: { backend: context.keyBackend },
      runners: supervisor.loaded().map((model) => ({
        model: model.name,
        state: model.runner.state,
        gpu: model.gpu,
        ...model.isolation.measureNow(),
      })),
    });
  });
}
