/** Finds the `serve`s that run and asks each for its status: through its proxy, which proves itself first. */
import { ROUTES } from "../api/routes.ts";
import { collect } from "../api/body.ts";
import { readError } from "../api/errors.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import { readSecurityStatus, type SecurityStatus } from "../gateway/security_status.ts";
import { listenerUids, ownUid } from "../http/peer.ts";
import { isLoopback } from "../loopback.ts";
import { askLocalProxy, holderOf, type LocalProxy } from "./local_proxy.ts";
import { announcedServes, type ServeAnnouncement } from "./serve_announcement.ts";

/** A status has a few KiB for each runner. */
const MAX_STATUS_BYTES = 1 << 20;
const ASK_TIMEOUT_MS = 30_000;

/** A serve that runs, or what seems to be one. */
export interface FoundServe {
  /** Where: "127.0.0.1:11434". */
  readonly at: string;
  /** null: it was found by its port only. */
  readonly pid: number | null;
  /** URLs, where they are known. */
  readonly proxy: string | null;
  readonly gateway: string | null;
  /** What it says of itself; an error: why it was not asked. */
  readonly status: SecurityStatus | SecLlamaError;
}

/**
 * Every serve of this data folder, and the one on the proxy's port of the settings, whose ever it is.
 * @throws {SecLlamaError} `cancelled`.
 */
export async function findServes(
  proxy: LocalProxy,
  signal: AbortSignal,
): Promise<FoundServe[]> {
  const announced = await announcedServes(proxy.dataDir);
  const found = await Promise.all(announced.map((one) => askAnnounced(one, proxy, signal)));
  if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
  if (proxy.port === 0 || announced.some(({ proxyPort }) => proxyPort === proxy.port)) return found;
  const status = await asked(() => askProxy(proxy, signal));
  // What says that it is something else is no serve.
  if (status instanceof SecLlamaError && await holderOf(proxy) !== "secllama") return found;
  const at = `${proxy.hostname}:${proxy.port}`;
  return [...found, { at, pid: null, proxy: `http://${at}`, gateway: null, status }];
}

async function askAnnounced(
  { pid, gateway, proxyPort }: ServeAnnouncement,
  { hostname, dataDir }: LocalProxy,
  signal: AbortSignal,
): Promise<FoundServe> {
  if (proxyPort === null) {
    const status = await asked(() => askGateway(gateway, signal));
    return { at: new URL(gateway).host, pid, proxy: null, gateway, status };
  }
  const status = await asked(() => askProxy({ hostname, port: proxyPort, dataDir }, signal));
  const at = `${hostname}:${proxyPort}`;
  return { at, pid, proxy: `http://${at}`, gateway, status };
}

async function asked(ask: () => Promise<SecurityStatus>): Promise<SecurityStatus | SecLlamaError> {
  try {
    return await ask();
  } catch (error) {
    return toSecLlamaError(error);
  }
}

async function askProxy(proxy: LocalProxy, signal: AbortSignal): Promise<SecurityStatus> {
  return await readAnswer(
    await askLocalProxy(proxy, {
      method: "GET",
      path: ROUTES.securityStatus.path,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]),
    }),
  );
}

/** A serve without a proxy cannot prove itself; on Linux the system says whose program listens, and the data folder which port. */
async function askGateway(url: string, signal: AbortSignal): Promise<SecurityStatus> {
  const { protocol, hostname, port } = new URL(url);
  // No uid at all is no proof: the system's tables could not be read, or nobody listens.
  const uids = Deno.build.os === "linux" && protocol === "http:" && isLoopback(hostname)
    ? listenerUids(Number(port))
    : [];
  const own = uids.length > 0 && uids.every((uid) => uid === ownUid());
  if (!own) {
    throw new SecLlamaError(
      "not-supported",
      "it runs without a proxy on an address that proves itself to paired clients only",
      { hint: `ask for ${ROUTES.securityStatus.path} from a machine that is paired with it` },
    );
  }
  const options = { signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]) };
  return await readAnswer(
    await fetch(`${url}${ROUTES.securityStatus.path}`, { redirect: "error", ...options }),
  );
}

async function readAnswer(answer: Response): Promise<SecurityStatus> {
  if (!answer.ok) throw await readError(answer);
  const bytes = await collect(answer.body!, MAX_STATUS_BYTES);
  return readSecurityStatus(JSON.parse(new TextDecoder().decode(bytes)));
}
