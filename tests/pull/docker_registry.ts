/** Debian's `docker-registry` on loopback, with a folder of its own, and models pushed into it as OCI clients push. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { until } from "../support/patience.ts";
import { utf8 } from "../../src/bytes.ts";
import { tell } from "../support/signal.ts";

const PROGRAM = "/usr/bin/docker-registry";

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`, the first part of a model's name. */
  readonly host: string;
  /** Where it keeps blobs. */
  readonly folder: string;
  kill(): Promise<void>;
}

/** Whether it is installed; says so if it is not. */
export function registryIgnored(): boolean {
  try {
    Deno.statSync(PROGRAM);
    return false;
  } catch {
    console.log("skipped: docker-registry is not installed");
    return true;
  }
}

export async function startDockerRegistry(): Promise<DockerRegistry> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-registry-" });
  const config = join(folder, "config.yml");
  for (let tries = 1;; tries++) {
    const port = freePort();
    await Deno.writeTextFile(
      config,
      `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: ${folder}/data } }
http: { addr: 127.0.0.1:${port} }
`,
    );
    const child = new Deno.Command(PROGRAM, {
      args: ["serve", config],
      env: { PATH: "/usr/bin:/bin", OTEL_TRACES_EXPORTER: "none" },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    let ended = false;
    const status = child.status.then(() => ended = true);
    const host = `127.0.0.1:${port}`;
    const kill = async () => {
      if (!ended) tell(child, "SIGKILL");
      await status;
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    };
    let up = false;
    await until(async () => {
      up = await fetch(`http://${host}/v2/`).then(async (r) => {
        await r.body?.cancel();
        return r.ok;
      }, () => false);
      return up || ended;
    }, "docker-registry answers");
    if (up) return { host, folder, kill, [Symbol.asyncDispose]: kill };
    // The port was taken in between.
    if (tries === 3) {
      await kill();
      throw new Error("docker-registry does not start");
    }
    if (!ended) tell(child, "SIGKILL");
    await status;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

export interface Part {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export type Layers = readonly (readonly [kind: string, content: Uint8Array | string | object])[];

/** The parts of a model and its manifest, as a registry gives them. */
export function packModel(
  layers: Layers,
): { manifest: Uint8Array; digest: string; blobs: Map<string, Uint8Array> } {
  const blobs = new Map<string, Uint8Array>();
  const add = (mediaType: string, content: Uint8Array | string | object): Part => {
    const bytes = content instanceof Uint8Array
      ? content
      : utf8(typeof content === "string" ? content : JSON.stringify(content));
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const written = layers.map(([kind, content]) =>
    add(`application/vnd.ollama.image.${kind}`, content)
  );
  const manifest = utf8(JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: add("application/vnd.docker.container.image.v1+json", { model_format: "gguf" }),
    layers: written,
  }));
  return { manifest, digest: digestOf(manifest), blobs };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Pushes a model; returns the manifest's digest. */
export async function pushModel(host: string, name: string, layers: Layers): Promise<string> {
  const [repository, tag] = name.split(":");
  const base = `http://${host}/v2/${repository}`;
  const { manifest, digest, blobs } = packModel(layers);
  for (const [blobDigest, bytes] of blobs) {
    const begun = await fetch(`${base}/blobs/uploads/`, { method: "POST" });
    await begun.body?.cancel();
    const at = new URL(begun.headers.get("location")!, base);
    at.searchParams.set("digest", blobDigest);
    const put = await fetch(at, { method: "PUT", body: bytes as Uint8Array<ArrayBuffer> });
    await put.body?.cancel();
    if (put.status !== 201) throw new Error(`blob: ${put.status}`);
  }
  const put = await fetch(`${base}/manifests/${tag}`, {
    method: "PUT",
    headers: { "content-type": "application/vnd.docker.distribution.manifest.v2+json" },
    body: manifest as Uint8Array<ArrayBuffer>,
  });
  const text = await put.text();
  if (put.status !== 201) throw new Error(`manifest: ${put.status} ${text}`);
  return digest;
}
