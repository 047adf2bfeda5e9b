/**
 * The page's launch secret, where the kernel does not say whose a connection is (macOS, Windows) or where tokens are asked for: the
 * proxy writes it to the private data folder at its start, `secllama ui` and the commands that ask the proxy read it there. It dies
 * with the proxy.
 */
import { join } from "node:path";
import { toBase64Url, utf8 } from "../bytes.ts";
import { writeFileAtomically } from "../keys/mod.ts";

const SECRET = /^[\w-]{43}$/;

function pathOf(dataDir: string, port: number): string {
  return join(dataDir, `page-${port}.json`);
}

/**
 * A new secret of 32 bytes in base64url; null on Linux, where the kernel says who connects.
 * @param tokens Whether every program shows a token: a browser has none, and shows this.
 */
export function newLaunch(tokens: boolean): string | null {
  if (Deno.build.os === "linux" && !tokens) return null;
  return toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
}

/** Writes it for this user alone. Returns what removes it, where this process still may. */
export async function announceLaunch(
  dataDir: string,
  port: number,
  launch: string | null,
): Promise<() => Promise<void>> {
  if (launch === null) return () => Promise.resolve();
  const path = pathOf(dataDir, port);
  await writeFileAtomically(path, utf8(JSON.stringify({ launch }) + "\n"));
  return () => Deno.remove(path).catch(() => {});
}

/** Removes that of a proxy which has ended, and had given up writing. */
export async function withdrawLaunch(dataDir: string, port: number): Promise<void> {
  await Deno.remove(pathOf(dataDir, port)).catch(() => {});
}

/** The secret of the proxy on a port; null: it has none. */
export async function readLaunch(dataDir: string, port: number): Promise<string | null> {
  try {
    const { launch } = Object(JSON.parse(await Deno.readTextFile(pathOf(dataDir, port))));
    return typeof launch === "string" && SECRET.test(launch) ? launch : null;
  } catch {
    return null;
  }
}

/** The address of the page; the secret is in its fragment, which no browser sends. */
export async function pageAddress(dataDir: string, port: number): Promise<string> {
  const launch = await readLaunch(dataDir, port);
  return `http://127.0.0.1:${port}/${launch === null ? "" : `#launch=${launch}`}`;
}
