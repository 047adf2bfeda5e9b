/** Going on with a person's session: new tokens of the provider, shown to the gateway with a proof of the session's own key. */
import { join } from "node:path";
import { readError } from "../../api/errors.ts";
import { HINTS } from "../../hints.ts";
import { JSON_TYPE } from "../../api/media_types.ts";
import { ROUTES } from "../../api/routes.ts";
import { utf8 } from "../../bytes.ts";
import { sealedFetch, type SealedFetchOptions } from "../../client/mod.ts";
import { SecLlamaError } from "../../errors.ts";
import { ioError, type KeyStore } from "../../keys/mod.ts";
import { pause } from "../../pause.ts";
import { refreshed } from "./provider.ts";
import { SessionStore } from "./session_store.ts";
import { readProvider } from "./sign_in.ts";

/** While another process goes on. Waiting for the lock itself could not be broken off. */
const LOCK_POLL_MS = 50;

/** How a session stands. */
export interface Standing {
  /** By the person's groups as they are now. */
  readonly role: string;
  /** ISO 8601. */
  readonly expires: string;
}

/** A session of this machine. */
export interface SessionPlace {
  readonly dataDir: string;
  readonly store: KeyStore;
  /** What the gateway is called here. */
  readonly name: string;
  /** How to reach it. */
  readonly connection: SealedFetchOptions;
}

/**
 * Goes on with it. Two processes do it one after the other: a provider takes a refresh token that comes twice for stolen.
 * @param seen The end as the caller knows it: if another process went on meanwhile, that is how it stands.
 * @throws {SecLlamaError} `not-found` if there is none that can go on, `auth` if it is over, `role-refused` for who is in no group any
 * more, `gateway-unreachable` if the provider or the gateway is away.
 */
export async function goOn(
  place: SessionPlace,
  signal: AbortSignal,
  seen?: string,
): Promise<Standing> {
  const path = join(place.dataDir, await lockName(place.name));
  using lock = await Deno.open(path, { create: true, write: true, mode: 0o600 })
    .catch((error) => {
      throw ioError("open", path, error);
    });
  while (!await lock.tryLock(true)) {
    if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
    await pause(LOCK_POLL_MS, signal);
  }
  const sessions = new SessionStore(place.store, place.name);
  const session = await sessions.read();
  if (session?.refresh === undefined) {
    throw new SecLlamaError("not-found", `there is no session at ${place.name} that can go on`, {
      hint: HINTS.signIn,
    });
  }
  const { role, expires } = session;
  if (seen !== undefined && role !== undefined && expires !== undefined && expires > seen) {
    return { role, expires };
  }
  const tokens = await refreshed(readProvider(session), session.refresh, signal);
  // A provider that gives a new one takes the old one for stolen.
  const kept = { ...session, refresh: tokens.refreshToken ?? session.refresh };
  await sessions.keep(kept);
  const client = sealedFetch(place.connection);
  try {
    const answer = await client.metadata(ROUTES.session.path.slice(1), {
      method: "POST",
      body: utf8(JSON.stringify({ id_token: tokens.idToken })),
      headers: { "content-type": JSON_TYPE },
      signal,
    });
    if (!answer.ok) throw await readError(answer);
    const { role, expires } = standingIn(await answer.text());
    await sessions.keep({ ...kept, role, expires });
    return { role, expires };
  } finally {
    client.close();
  }
}

/** Of each gateway its own: one that is away holds up nobody at another. A name may have any letters. */
async function lockName(name: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(name)));
  return `session-${hash.toHex().slice(0, 16)}.lock`;
}

/** What the gateway answers. @throws {SecLlamaError} `downgrade` if it is none. */
function standingIn(text: string): Standing {
  try {
    const { role, expires } = JSON.parse(text);
    const isText = typeof role === "string" && typeof expires === "string";
    if (isText && Number.isFinite(Date.parse(expires))) return { role, expires };
  } catch { /* said below */ }
  throw new SecLlamaError("downgrade", "the gateway's answer to the session is none");
}
