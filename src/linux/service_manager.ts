/**
 * sd_notify(3) without the library: a datagram to the socket that `NOTIFY_SOCKET` names. A service manager is told when everything
 * serves, so that what is ordered after it waits for that and not for time.
 */
import { SecLlamaError } from "../errors.ts";
import { type Linux, linux, SystemCallError } from "./libc.ts";
import { AF, SOCK, unixAddress } from "./sockets.ts";

const MSG_NOSIGNAL = 0x4000;

/**
 * Sends one state to the service manager that started this process.
 * @param state Lines of `NAME=value`, for instance `READY=1\nSTATUS=serves`. No content, no secret: `systemctl status` shows it.
 * @returns Whether there is a manager that took it. One that has gone away ends nothing.
 * @throws {SecLlamaError} `bad-environment` if `NOTIFY_SOCKET` names no Unix socket.
 *
 * ```ts ignore
 * notifyServiceManager(Deno.env.toObject(), "READY=1");
 * ```
 */
export function notifyServiceManager(
  env: { readonly [name: string]: string | undefined },
  state: string,
  system: () => Linux = linux,
): boolean {
  const name = env["NOTIFY_SOCKET"];
  if (!name || Deno.build.os !== "linux") return false;
  if (!/^[/@]/.test(name)) {
    throw new SecLlamaError("bad-environment", "NOTIFY_SOCKET names no Unix socket", {
      hint: "it is set by systemd; take it out of the environment",
    });
  }
  const libc = system();
  const fd = libc.call("socket", AF.unix, SOCK.datagram | SOCK.closeOnExec, 0);
  if (fd < 0) throw new SystemCallError("socket", -fd);
  try {
    const bytes = new TextEncoder().encode(state);
    const address = unixAddress(name);
    return libc.call("sendto", fd, bytes, bytes.length, MSG_NOSIGNAL, address, address.length) ===
      bytes.length;
  } finally {
    libc.call("close", fd);
  }
}
