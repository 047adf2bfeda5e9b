/** Where the proxy listens besides loopback: `ADDRESS`, `ADDRESS:PORT`, `[IPv6]:PORT`, or `unix:/path`. */
import { SecLlamaError } from "../errors.ts";
import { isLoopbackHost } from "../loopback.ts";

/** One more place to listen at. */
export type ListenAt =
  | { readonly kind: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Where nothing else is said. */
const PORT = 11434;
const TCP =
  /^(?:\[([0-9a-fA-F:.]+)\]|([0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)|([0-9.]+))(?::(\d{1,5}))?$/;

/**
 * Reads one; empty: null, nowhere.
 * @throws {SecLlamaError} `bad-config`.
 */
export function listenAt(text: string, name: string): ListenAt | null {
  if (text === "") return null;
  const wrong = (hint: string) =>
    new SecLlamaError("bad-config", `${name} must be an address, or unix: and a full path`, {
      field: name,
      hint,
    });
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    // sun_path of unix(7) has 108 bytes, one of them the end.
    if (
      !path.startsWith("/") || path.endsWith("/") || new TextEncoder().encode(path).length > 107
    ) {
      throw wrong("for instance: unix:/run/secllama/proxy.sock; at most 107 bytes");
    }
    return { kind: "unix", path };
  }
  const match = TCP.exec(text);
  const hostname = match && (match[1] ?? match[2] ?? match[3])!;
  const port = match?.[4] === undefined ? PORT : Number(match[4]);
  if (!hostname || port > 65_535) {
    throw wrong(
      "for instance: 192.168.1.5:11434, 0.0.0.0, [::]:11434, unix:/run/secllama/proxy.sock",
    );
  }
  if (isLoopbackHost(hostname)) {
    throw wrong("the proxy listens on loopback anyway: its port is --proxy-port");
  }
  return { kind: "tcp", hostname, port };
}

/** As {@link listenAt} reads it. */
export function listenText(at: ListenAt): string {
  if (at.kind === "unix") return `unix:${at.path}`;
  return `${at.hostname.includes(":") ? `[${at.hostname}]` : at.hostname}:${at.port}`;
}

/** A file's mode, as chmod has it. @throws {SecLlamaError} `bad-config`. */
export function socketMode(text: string, name: string): number {
  const mode = /^0?[0-7]{3}$/.test(text) ? parseInt(text, 8) : -1;
  // Others than owner and group would be everybody on the machine.
  if (mode < 0 || (mode & 0o007) !== 0 || (mode & 0o600) !== 0o600) {
    throw new SecLlamaError("bad-config", `${name} must be 600, 620, 640 or 660`, {
      field: name,
      hint: "for those whom everybody may not be, use a group: --listen-group",
    });
  }
  return mode;
}
