/**
 * How one role of this program starts another: from source `deno run` with the permissions that the role needs and no more, from
 * a compiled program the program itself.
 */
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { listenText } from "../config/listen_at.ts";
import { ownPath } from "../bundle/start_again.ts";
import { ROOT } from "./installation.ts";

/** What the proxy's process may do. */
export function proxyPermissions(
  o: {
    dataDir: string;
    gatewayHost: string;
    /** Where else it listens. */
    open?: Pick<Config, "proxyListen" | "tlsCert" | "tlsKey">;
  },
): string[] {
  const at = o.open?.proxyListen ?? null;
  const hosts = [...new Set(["127.0.0.1", "localhost", "[::1]", o.gatewayHost])];
  if (at !== null) hosts.push(listenText(at));
  const files = at?.kind === "tcp" ? [o.open!.tlsCert, o.open!.tlsKey].filter(Boolean) : [];
  const socket = at?.kind === "unix" ? [at.path] : [];
  return [
    "--no-prompt",
    "--deny-import",
    `--allow-net=${hosts.join(",")}`,
    `--allow-read=${
      [o.dataDir, ROOT, ...files, ...socket, ...(at ? ["/etc/group"] : [])].join(",")
    }`,
    `--allow-write=${[o.dataDir, ...socket].join(",")}`,
    "--allow-run=/usr/bin/secret-tool,/usr/bin/gdbus",
    "--allow-ffi",
    "--allow-sys=uid",
    "--allow-env",
  ];
}

/** The argv of a role of this same program. */
export function selfArgv(role: readonly string[], permissions: readonly string[]): string[] {
  if (Deno.build.standalone) {
    return [Deno.build.os === "linux" ? ownPath() : Deno.execPath(), ...role];
  }
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--frozen",
    ...permissions,
    join(ROOT, "main.ts"),
    ...role,
  ];
}
