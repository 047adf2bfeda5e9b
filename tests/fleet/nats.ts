/** A NATS for tests: as many nodes as are wanted, over TLS, with what the issuer says each machine may do. */
import { join } from "node:path";
import { until } from "../support/patience.ts";
import { freePort } from "./hosts.ts";

export const NATS_SERVER = "/usr/sbin/nats-server";

/** Why it cannot run here, or undefined. */
export const noNats = await Deno.stat(NATS_SERVER).then(() => undefined, () => "no nats-server");

export interface Nats extends AsyncDisposable {
  readonly servers: readonly string[];
  /** PEM, and its file. */
  readonly ca: string;
  readonly caPath: string;
  /** With `users.conf`, `nats.pem`, and `store-0` and so on of the nodes. */
  readonly folder: string;
  /** Process ids, by node. */
  readonly pids: readonly number[];
  /** Ends one node, or starts it again. */
  kill(node: number, signal?: Deno.Signal): Promise<void>;
  start(node: number): Promise<void>;
  /** Has each node read its configuration and certificate anew, as `nats-server --signal reload` does. */
  reload(): Promise<void>;
  /** Cuts one node off from the others, or ends that. Clients reach it as before. */
  isolate(node: number, isCut: boolean): void;
}

async function openssl(folder: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("/usr/bin/openssl", {
    args,
    cwd: folder,
    stderr: "piped",
    stdout: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Signs the nodes' certificate anew. @param days 0: it has expired when it is made. */
export async function certifyNats(folder: string, days = 2): Promise<void> {
  const sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", String(days)];
  const files = ["-in", "nats.csr", "-extfile", "ext", "-out", "nats.pem"];
  await openssl(folder, "x509", "-req", ...files, ...sign);
}

/** A name and an authority for it, made by openssl. */
async function certificates(folder: string): Promise<string> {
  const run = (...args: string[]) => openssl(folder, ...args);
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  await run("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=fleet");
  await run("req", ...ec, "-keyout", "nats.key", "-out", "nats.csr", "-subj", "/CN=nats");
  await Deno.writeTextFile(join(folder, "ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  await certifyNats(folder);
  return await Deno.readTextFile(join(folder, "ca.pem"));
}

/** Starts it. @param users What `secllama fleet nats` printed, or blocks of natsPermissions as JSON. */
export async function startNats(users: string, nodes = 1): Promise<Nats> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-nats-" });
  const ca = await certificates(folder);
  const ports = Array.from({ length: nodes }, freePort);
  const routes = Array.from({ length: nodes }, freePort);
  const cut = new Set<number>();
  let isChanged = Promise.withResolvers<void>();
  await using stack = new AsyncDisposableStack();
  /** From each node to each other one: a way that can be cut. */
  const ways = routes.map((port, to) =>
    routes.map((_, from) =>
      from === to ? undefined : stack.use(startWay(port, async () => {
        while (cut.has(from) || cut.has(to)) await isChanged.promise;
      }))
    )
  );
  const children: (Deno.ChildProcess | undefined)[] = [];
  const tls = `cert_file: "${folder}/nats.pem", key_file: "${folder}/nats.key"`;
  const start = async (i: number) => {
    const cluster = nodes === 1 ? "" : `cluster {
  name: fleet, listen: "127.0.0.1:${routes[i]}"
  tls { ${tls}, ca_file: "${folder}/ca.pem", verify: true }
  advertise: "127.0.0.1:1"
  routes: [${
      ways.flatMap((from) => from[i] ? `"nats://127.0.0.1:${from[i].port}"` : []).join(", ")
    }]
}`;
    await Deno.writeTextFile(
      join(folder, `nats-${i}.conf`),
      `server_name: n${i}
listen: "127.0.0.1:${ports[i]}"
tls { ${tls} }
jetstream { store_dir: "${folder}/store-${i}" }
${cluster}
include users.conf
`,
    );
    const child = new Deno.Command(NATS_SERVER, {
      args: ["-c", join(folder, `nats-${i}.conf`), "-l", join(folder, `nats-${i}.log`)],
      stdout: "null",
      stderr: "null",
    }).spawn();
    children[i] = child;
    let ended = false;
    void child.status.then(() => ended = true);
    await until(async () => {
      if (ended) throw new Error(await Deno.readTextFile(join(folder, `nats-${i}.log`)));
      const log = await Deno.readTextFile(join(folder, `nats-${i}.log`)).catch(() => "");
      return log.includes("Server is ready");
    }, "NATS is ready");
  };
  const kill = async (i: number, signal: Deno.Signal = "SIGKILL") => {
    const child = children[i];
    if (child === undefined) return;
    children[i] = undefined;
    child.kill(signal);
    await child.status;
    await Deno.remove(join(folder, `nats-${i}.log`)).catch(() => {});
  };
  const reload = async () => {
    for (const [i, child] of children.entries()) {
      if (child === undefined) continue;
      const log = join(folder, `nats-${i}.log`);
      const times = async () => (await Deno.readTextFile(log)).split("Reloaded server").length;
      const before = await times();
      child.kill("SIGHUP");
      await until(async () => await times() > before, "NATS has read it");
    }
  };
  const isolate = (node: number, isCut: boolean) => {
    cut[isCut ? "add" : "delete"](node);
    isChanged.resolve();
    isChanged = Promise.withResolvers();
  };
  await Deno.writeTextFile(join(folder, "users.conf"), users);
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  stack.defer(async () => {
    for (let i = 0; i < nodes; i++) await kill(i);
    for (let i = 0; i < nodes; i++) isolate(i, false);
  });
  for (let i = 0; i < nodes; i++) await start(i);
  const all = stack.move();
  return {
    servers: ports.map((port) => `tls://localhost:${port}`),
    ca,
    caPath: join(folder, "ca.pem"),
    folder,
    get pids() {
      return children.flatMap((child) => child?.pid ?? []);
    },
    kill,
    start,
    reload,
    isolate,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Passes on what comes to `port`, each part once `mayPass` says so. */
function startWay(to: number, mayPass: () => Promise<void>): { port: number } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const pass = async (from: Deno.Conn, into: Deno.Conn) => {
    try {
      for await (const part of from.readable.values({ preventCancel: true })) {
        await mayPass();
        for (let at = 0; at < part.length;) at += await into.write(part.subarray(at));
      }
    } catch { /* one end is gone, and so is the other */ }
    for (const end of [from, into]) {
      if (!open.delete(end)) continue;
      try {
        end.close();
      } catch { /* it is */ }
    }
  };
  const over = (async () => {
    const passing: Promise<unknown>[] = [];
    for await (const from of listener) {
      open.add(from);
      await mayPass();
      const into = await Deno.connect({ hostname: "127.0.0.1", port: to }).catch(() => undefined);
      if (into === undefined) {
        open.delete(from);
        from.close();
        continue;
      }
      open.add(into);
      passing.push(pass(from, into), pass(into, from));
    }
    await Promise.all(passing);
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const end of open) {
        try {
          end.close();
        } catch { /* it is */ }
      }
      await over;
    },
  };
}
