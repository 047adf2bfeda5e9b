/** A registry that attacks, an inner service that nobody may reach, and a client that knows no better. */
import { join } from "node:path";
import type { packModel } from "./docker_registry.ts";

export interface Listener extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string;
  /** Requests that came: method, path and authorization. */
  readonly hits: { path: string; authorization: string | null }[];
}

export type Handler = (
  request: Request,
  path: string,
) => Response | undefined | Promise<Response | undefined>;

/** Serves on loopback; what the handler does not answer is 404. With `tls`, as the host of the certificate. */
export function listen(handler: Handler, tls?: { cert: string; key: string }): Listener {
  const hits: Listener["hits"] = [];
  const stop = new AbortController();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: () => new Response(null, { status: 500 }),
    signal: stop.signal,
    ...tls,
  }, async (request) => {
    const path = new URL(request.url).pathname;
    hits.push({ path, authorization: request.headers.get("authorization") });
    return await handler(request, path) ?? new Response("none", { status: 404 });
  });
  return {
    host: `127.0.0.1:${server.addr.port}`,
    hits,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await server.finished;
    },
  };
}

export type Packed = ReturnType<typeof packModel>;

/** Serves a packed model as a registry should, unless `before` answers first. */
export function registryOf(packed: Packed, before: Handler = () => undefined): Handler {
  return async (request, path) => {
    const first = await before(request, path);
    if (first) return first;
    if (path.includes("/manifests/")) return new Response(packed.manifest as BodyInit);
    const bytes = packed.blobs.get(path.split("/blobs/")[1] ?? "");
    return bytes && rangeOf(request, bytes);
  };
}

/** The range of the bytes that a request asks for. */
export function rangeOf(request: Request, bytes: Uint8Array): Response {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "");
  if (!match) return new Response(bytes as BodyInit);
  const [start, end] = [Number(match[1]), Number(match[2])];
  return new Response(bytes.subarray(start, end + 1) as BodyInit, {
    status: 206,
    headers: { "content-range": `bytes ${start}-${end}/${bytes.length}` },
  });
}

/**
 * Pulls the way a hasty client does: redirects followed, any realm asked, bodies decompressed and read whole, digests made
 * into paths, nothing compared.
 */
export async function naivePull(host: string, name: string, dir: string): Promise<void> {
  const [repository, tag] = name.split(":");
  let authorization: string | undefined;
  const get = async (path: string): Promise<Response> => {
    const init = { headers: authorization ? { authorization } : {} };
    let answer = await fetch(`http://${host}/v2/${repository}/${path}`, init);
    const realm = /realm="([^"]*)"/.exec(answer.headers.get("www-authenticate") ?? "")?.[1];
    if (answer.status === 401 && realm) {
      await answer.body?.cancel();
      // As Ollama did: it proves who it is to whatever host the challenge names.
      const headers = { authorization: "Signature of-the-user" };
      const { token } = await (await fetch(realm, { headers })).json();
      authorization = `Bearer ${token}`;
      answer = await fetch(`http://${host}/v2/${repository}/${path}`, {
        headers: { authorization },
      });
    }
    return answer;
  };
  const manifest = JSON.parse(await (await get(`manifests/${tag}`)).text());
  await Deno.mkdir(join(dir, "blobs"), { recursive: true });
  for (const { digest } of manifest.layers) {
    const bytes = await (await get(`blobs/${digest}`)).bytes();
    await Deno.writeFile(join(dir, "blobs", digest.replace(":", "-")), bytes);
  }
}

/** A certificate authority and a certificate for `host`, by openssl; PEM. */
export async function makeCertificate(
  host: string,
): Promise<{ ca: string; cert: string; key: string }> {
  const dir = await Deno.makeTempDir({ prefix: "secllama-cert-" });
  try {
    const script = `
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout host.key -out host.csr -subj /CN=${host}
printf 'subjectAltName=DNS:${host}\\nbasicConstraints=CA:FALSE\\n' > ext
openssl x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out host.pem -days 2 -extfile ext`;
    const { success, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-e", "-c", script],
      cwd: dir,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const read = (name: string) => Deno.readTextFile(join(dir, name));
    return { ca: await read("ca.pem"), cert: await read("host.pem"), key: await read("host.key") };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
