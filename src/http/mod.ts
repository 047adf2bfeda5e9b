/** The hardened listener that gateway and proxy share. */
export type { Handler, RequestInfo } from "./answer.ts";
export { DEFAULT_LIMITS, type Limits } from "./limits.ts";
export { logMisconfigured } from "./misconfigured.ts";
export { SHARED_PARTY } from "./parties.ts";
export type { RefusalHints, RenderedError, Rules } from "./rules.ts";
export {
  type HardenedOptions,
  type HardenedServer,
  serveHardened,
  type UnixAddress,
} from "./listener.ts";
