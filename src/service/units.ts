/**
 * The units that `secllama service` writes: those of packaging/, which are in the program, with the path of this program in them.
 */
import { SecLlamaError } from "../errors.ts";
import listenService from "../../packaging/systemd/secllama-listen.service" with { type: "text" };
import listenSocket from "../../packaging/systemd/secllama-listen.socket" with { type: "text" };
import systemService from "../../packaging/systemd/secllama.service" with { type: "text" };
import userProxy from "../../packaging/systemd/user/secllama-proxy.service" with { type: "text" };
import userService from "../../packaging/systemd/user/secllama.service" with { type: "text" };
import launchAgent from "../../packaging/launchd/secllama.plist" with { type: "text" };

export interface ServiceFile {
  /** Its name in the folder of the service manager. */
  readonly name: string;
  readonly text: string;
  /** Started by itself; the others are started by it. */
  readonly enable: boolean;
}

/** In the first line of each file that we wrote, and so may overwrite and remove. */
const MARK = "Written by secllama service install";

/** Whether `text` is a file of ours: one that somebody else made is left alone. */
export function isOurs(text: string): boolean {
  return text.includes(MARK);
}

/** The units of the system: the gateway without a network, and the socket that leads to it. @throws {SecLlamaError} `usage`. */
export function systemUnits(program: string): ServiceFile[] {
  return [
    { name: "secllama.service", text: unit(systemService, program), enable: true },
    { name: "secllama-listen.socket", text: unit(listenSocket, program), enable: true },
    { name: "secllama-listen.service", text: unit(listenService, program), enable: false },
  ];
}

/** The unit of one user: gateway and proxy, or with `proxy` the proxy alone. @throws {SecLlamaError} `usage`. */
export function userUnits(program: string, o: { proxy: boolean }): ServiceFile[] {
  return [
    o.proxy
      ? { name: "secllama-proxy.service", text: unit(userProxy, program), enable: true }
      : { name: "secllama.service", text: unit(userService, program), enable: true },
  ];
}

/** The agent for launchd(8) of one user. It was read by a parser, never by launchd. */
export function launchAgents(program: string): ServiceFile[] {
  const path = checked(program).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const text = launchAgent
    .replace("/usr/local/bin/secllama", () => path)
    .replace("<plist ", () => `<!-- ${MARK} -->\n<plist `);
  return [{ name: "secllama.plist", text, enable: true }];
}

function unit(text: string, program: string): string {
  const word = quoted(checked(program));
  return `# ${MARK}; taken away by: secllama service uninstall\n` +
    text.replaceAll(
      /^(Exec\w+=)(?:\/usr\/local|%h\/\.local)\/bin\/secllama\b/gm,
      (_, key) => key + word,
    );
}

/** As a word of a command line in a unit: systemd.service(5), "Command lines", and systemd.syntax(7). */
function quoted(path: string): string {
  const plain = path.replaceAll("%", "%%").replaceAll("$", "$$$$");
  if (/^[\w/.%+@-]+$/.test(plain)) return plain;
  return `"${plain.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function checked(program: string): string {
  // A service manager splits lines; and no control character is in any path that somebody meant.
  // deno-lint-ignore no-control-regex -- it is what is looked for
  if (program.startsWith("/") && !/[\x00-\x1f\x7f]/.test(program)) return program;
  throw new SecLlamaError("usage", "the program's path must be absolute, and of one line", {
    field: "--program",
    hint: "for instance: --program /usr/local/bin/secllama",
  });
}
