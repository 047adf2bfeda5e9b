/** Two hosts of one key on this machine, real ones, and a client that is paired with them. */
import { join } from "node:path";
import { sealedFetch } from "../../src/client/mod.ts";
import type { SealedFetch } from "../../src/client/sealed_fetch.ts";
import { keysetHost } from "../support/keyset_host.ts";
import { type Served, startServe } from "../support/serve.ts";

/** Free when it was asked for. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** The name that balancers ask for, as in packaging/balancers. */
const NAME = "secllama.lan";

/** Hosts `gpu-1`, `gpu-2`, …: one keyset and one id, each with a data folder of its own. */
export class Hosts {
  readonly ports: readonly number[];
  readonly #folder: string;
  readonly #made: Awaited<ReturnType<typeof keysetHost>>;
  readonly #served: (Served | undefined)[] = [];

  private constructor(folder: string, made: Awaited<ReturnType<typeof keysetHost>>, count: number) {
    this.#folder = folder;
    this.#made = made;
    this.ports = Array.from({ length: count }, freePort);
  }

  static async start(count: number): Promise<Hosts> {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-fleet-" });
    const hosts = new Hosts(folder, await keysetHost(folder, 1), count);
    for (let i = 0; i < count; i++) {
      await copyFolder(hosts.#made.dataDir, join(folder, `data-${i}`));
      await hosts.startOne(i);
    }
    return hosts;
  }

  async startOne(i: number): Promise<void> {
    const { args, env, under } = this.#made.serve;
    this.#served[i] = await startServe({
      under,
      env: {
        ...env,
        SECLLAMA_DATA_DIR: join(this.#folder, `data-${i}`),
        SECLLAMA_DRAIN_TIME: "5m",
        SECLLAMA_PORT: String(this.ports[i]),
        SECLLAMA_HOST_LABEL: `gpu-${i + 1}`,
        SECLLAMA_NAMES: NAME,
      },
      args: [...args, `--port=${this.ports[i]}`],
    });
  }

  /** SIGKILL to the gateway; its runner dies of it. */
  async kill(i: number): Promise<void> {
    await this.#served[i]!.killHard();
    this.#served[i] = undefined;
  }

  /** SIGTERM: what is under way comes to its end. @returns The exit code. */
  async drain(i: number): Promise<number> {
    const { code } = await this.#served[i]!.stop();
    this.#served[i] = undefined;
    return code;
  }

  /** As a paired laptop, by suite 1. `underlying` is the fetch underneath. */
  client(gateway: string, underlying: typeof fetch = fetch): SealedFetch {
    return sealedFetch({
      gateway,
      credentials: () => Promise.resolve(this.#made.client(0)),
      fetch: underlying,
    });
  }

  get credentials() {
    return this.#made.client(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#served.map((served) => served?.stop()));
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { mode: 0o700 });
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(join(from, name), join(to, name));
  }
}
