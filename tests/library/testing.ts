/** Shared by the library's tests: the built package, a gateway whose key the test knows, Node and Chromium. */
import { join, resolve } from "node:path";
import { toHex } from "../../src/bytes.ts";
import { type LocalCredentials, localCredentials } from "../support/credentials.ts";
import { type Served, startServe } from "../support/serve.ts";
import { buildClient } from "../../scripts/client/build.ts";
import { HANG_MS } from "../support/patience.ts";

const HERE = new URL("./", import.meta.url).pathname;

let built: Promise<string> | undefined;

/** Path of the package, built once for a test file; the process's end leaves it to the temporary folder's. */
export function builtLibrary(): Promise<string> {
  built ??= (async () => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-client-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    await buildClient(folder);
    return folder;
  })();
  return built;
}

export interface KnownGateway extends Served {
  readonly credentials: LocalCredentials;
  /** The same in a form that goes through JSON: bytes are hexadecimal. */
  readonly hex: { readonly pskId: string; readonly psk: string; readonly hid: string };
}

/** `serve` with a key that the test made, so that it can act as a client of this machine. */
export async function serveWithKey(
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<KnownGateway> {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const served = await startServe({
    env: { SECLLAMA_KEY: `sl1:${key.toBase64()}`, ...env },
    args: ["--no-proxy", ...args],
  });
  const credentials = await localCredentials(served.home, key);
  const { pskId, psk, hid } = credentials;
  return Object.assign(served, { credentials, hex: { pskId, psk: toHex(psk), hid: toHex(hid) } });
}

/** Runs a program to its end with `input` on its standard input. */
export async function runWithInput(
  program: string,
  args: readonly string[],
  input: string,
  options: { cwd?: string } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = new Deno.Command(program, {
    args: [...args],
    ...options,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** Runs a file of this folder, or a full path, in Node with `input` on its standard input. */
export async function runNode(
  file: string,
  input: string,
  args: readonly string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  return await runWithInput("node", [resolve(HERE, file), ...args], input);
}

/** The major version of `node`, or undefined after saying so. */
export async function nodeMajor(): Promise<number | undefined> {
  try {
    const { stdout } = await new Deno.Command("node", { args: ["--version"] }).output();
    return Number(/^v(\d+)/.exec(new TextDecoder().decode(stdout))?.[1]);
  } catch {
    console.error("SKIPPED the library in Node: there is no node in PATH");
    return undefined;
  }
}

/** Bundles a file of this folder for a page, packages and all. */
export async function bundleForPage(file: string): Promise<string> {
  const output = await Deno.makeTempFile({ suffix: ".js" });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bundle",
        "--quiet",
        "--platform=browser",
        `--config=${join(HERE, "../deps.json")}`,
        "--frozen",
        `--output=${output}`,
        join(HERE, file),
      ],
      stderr: "piped",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return await Deno.readTextFile(output);
  } finally {
    await Deno.remove(output);
  }
}

export const CHROMIUM = "/usr/bin/chromium";

/** Whether Chromium is there; says so if not. */
export function hasChromium(): boolean {
  try {
    Deno.statSync(CHROMIUM);
    return true;
  } catch {
    console.error(`SKIPPED the library in a browser: there is no ${CHROMIUM}`);
    return false;
  }
}

/** A page's server: files by path, and what the page posts to `/result`. */
export function servePage(files: () => Record<string, string>) {
  const result = Promise.withResolvers<string>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/result") {
      result.resolve(await request.text());
      return new Response(null, { status: 204 });
    }
    const body = files()[pathname];
    if (body === undefined) return new Response("not found", { status: 404 });
    const type = pathname.endsWith(".js")
      ? "text/javascript"
      : pathname === "/"
      ? "text/html"
      : "application/json";
    return new Response(body, { headers: { "content-type": type } });
  });
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    result: result.promise,
    stop: () => server.shutdown(),
  };
}

/** Opens `url` in headless Chromium until `until` settles. */
export async function inChromium<T>(url: string, until: Promise<T>): Promise<T> {
  const profile = await Deno.makeTempDir({ prefix: "secllama-chromium-" });
  const child = new Deno.Command(CHROMIUM, {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--user-data-dir=${profile}`,
      url,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await Promise.race([
      until,
      child.status.then(() => Promise.reject(new Error("Chromium ended by itself"))),
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error("the page posted no result in time")), HANG_MS);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    try {
      child.kill("SIGTERM");
    } catch { /* ended already */ }
    await child.status;
    // Its helpers write a little longer than it lives.
    for (let left = 50; left > 0; left--) {
      const removed = await Deno.remove(profile, { recursive: true }).then(() => true, () => false);
      if (removed) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
