/** The balancers of packaging/balancers, as they stand there but for addresses, ports and folders. */
import { join } from "node:path";
import { ROOT } from "../support/serve.ts";
import { until } from "../support/patience.ts";
import { freePort } from "./hosts.ts";
import { tell } from "../support/signal.ts";

/** The file below packaging/balancers, and how its program is started with it. */
export const BALANCERS = {
  haproxy: ["haproxy.cfg", "/usr/sbin/haproxy", "-db", "-f"],
  "haproxy without the header": ["haproxy-without-header.cfg", "/usr/sbin/haproxy", "-db", "-f"],
  nginx: ["nginx.conf", "/usr/sbin/nginx", "-g", "daemon off;", "-c"],
  caddy: ["Caddyfile", "/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config"],
} as const;

/** The programs that are not on this machine. */
export async function missingPrograms(): Promise<string[]> {
  const programs = [...new Set(Object.values(BALANCERS).map(([, program]) => program))];
  const there = await Promise.all(programs.map((path) => Deno.stat(path).catch(() => undefined)));
  return programs.filter((_, i) => there[i] === undefined);
}

/** A balancer that runs. */
export interface Balancer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** Starts one before hosts on `ports`; `edit` changes its configuration's text first. `port`: where another one listens too. */
export async function startBalancer(
  kind: keyof typeof BALANCERS,
  ports: readonly number[],
  edit = (text: string) => text,
  port = freePort(),
): Promise<Balancer> {
  const [file, program, ...args] = BALANCERS[kind];
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-balancer-" });
  const text = edit(await Deno.readTextFile(join(ROOT, "packaging/balancers", file)))
    .replaceAll(/10\.0\.0\.(\d):11435/g, (_, i) => `127.0.0.1:${ports[Number(i) - 1]}`)
    .replaceAll("127.0.0.1:11435", `127.0.0.1:${port}`)
    .replaceAll("http://:11435", `http://:${port}`)
    .replaceAll("/etc/haproxy/", `${folder}/`)
    // nginx's own folders; one worker is enough here.
    .replace("worker_processes auto;", `worker_processes 1; pid ${folder}/pid;`)
    .replace("access_log off;", `access_log off;\n${temporaryFolders(folder)}`);
  await Deno.writeTextFile(join(folder, "secllama.map"), "");
  await Deno.writeTextFile(join(folder, file), text);
  const child = new Deno.Command(program, {
    args: [...args, join(folder, file)],
    cwd: folder,
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const said = new Response(child.stderr).text();
  let ended = false;
  const status = child.status.then(() => ended = true);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    if (!ended) tell(child, "SIGTERM");
    await Promise.all([status, said]);
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await until(async () => {
      if (ended) throw new Error(`${kind} ended: ${await said}`);
      const answer = await fetch(`${url}/readyz`).catch(() => undefined);
      await answer?.body?.cancel();
      return answer?.status === 200;
    }, `${kind} has a host`);
  } catch (error) {
    await stop();
    throw error;
  }
  const kill = async () => {
    child.kill("SIGKILL");
    await status;
  };
  return { url, port, pid: child.pid, kill, [Symbol.asyncDispose]: stop };
}

function temporaryFolders(folder: string): string {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n");
}
