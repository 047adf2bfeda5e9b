/** The servers of NATS as `serve --fleet` and `secllama fleet` take them: `tls://nats-1:4222,tls://nats-2:4222`. */
import { SecLlamaError } from "../errors.ts";

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
/** What URL takes for a host, and is none: it would be looked up as it stands. */
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?)$/i;
const EXAMPLE = "tls://nats-1:4222,tls://nats-2:4222";

/**
 * Whether a text is meant as servers and not as a file or folder: it has a scheme, a port, brackets or a comma, or is an
 * address, and does not begin as a path does. Such a folder can be named by `./`.
 */
export function isMeantAsServers(text: string): boolean {
  const given = text.trim();
  if (SCHEME.test(given)) return true;
  // `C:\fleet` too.
  if (/^(?:[./~\\]|[a-z]:[\\/])/i.test(given)) return given.startsWith("//");
  return /[,[]|:\d*(?:$|[/\s])|::|^\d{1,3}(?:\.\d{1,3}){3}$/.test(given);
}

/**
 * Servers with commas between, each as `tls://host` or `tls://host:port`.
 * @param field What names them: `--fleet`.
 * @throws {SecLlamaError} `bad-config`. It repeats none of them: a variable set by mistake may hold a secret.
 */
export function parseNatsServers(text: string, field: string): string[] {
  const parts = text.split(",").map((part) => part.trim());
  // One that was pasted with the comma after it.
  if (parts.length > 1 && parts.at(-1) === "") parts.pop();
  return parts.map((part) => {
    const [server, fault] = serverIn(part);
    if (server !== undefined) return server;
    throw new SecLlamaError("bad-config", `${field} must be servers of NATS over TLS: ${fault}`, {
      field,
      hint: `write ${EXAMPLE}`,
    });
  });
}

/** One server, or what is wrong with it. */
function serverIn(part: string): [server: string] | [undefined, fault: string] {
  const no = (fault: string): [undefined, string] => [undefined, fault];
  if (part === "") return no("one of them is empty");
  if (/\s/.test(part)) return no("one has a space in it; between two there is a comma");
  const scheme = SCHEME.exec(part)?.[0].toLowerCase();
  if (scheme === undefined) return no("one does not begin with tls://");
  if (scheme !== "tls://") {
    return no(`one begins with ${scheme}, and tls:// is the only way to them`);
  }
  const rest = part.slice(scheme.length).replace(/\/$/, "");
  // First, so that nothing below says a part of it.
  if (rest.includes("@")) return no("one has a name or a password in it, which are not needed");
  if (/[/?#\\]/.test(rest)) return no("one has something after its port");
  const [, host = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(rest) ?? [];
  if (host === "") {
    return no(
      rest.split(":").length > 2 && !rest.startsWith("[")
        ? "an address of IPv6 stands in brackets, tls://[fd00::1]:4222"
        : "one has no host name, or a port that is no number",
    );
  }
  if (!HOST.test(host) || !URL.canParse(`tls://${host}/`)) return no("one has no host name");
  const number = port === undefined ? undefined : Number(port);
  if (number === 0 || number !== undefined && number > 65_535) return no("one has no such port");
  return [`tls://${host.toLowerCase()}${number === undefined ? "" : `:${number}`}`];
}
