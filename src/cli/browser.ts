/**
 * Opens an address in the browser of this desktop. The address may hold a secret, so it is in no program's arguments where others
 * see these.
 */
import { existsSync } from "node:fs";

type Env = { readonly [name: string]: string | undefined };

/** What a browser needs of the environment. */
const PASSED = [
  "DISPLAY",
  "WAYLAND_DISPLAY",
  "XAUTHORITY",
  "XDG_RUNTIME_DIR",
  "XDG_CURRENT_DESKTOP",
  "XDG_DATA_DIRS",
  "DBUS_SESSION_BUS_ADDRESS",
  "DESKTOP_SESSION",
  "BROWSER",
  "HOME",
  "PATH",
  "LANG",
  "USERPROFILE",
  "SYSTEMROOT",
  "LOCALAPPDATA",
];
const XDG_OPEN = ["/usr/bin/xdg-open", "/usr/local/bin/xdg-open"];
const POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";

/**
 * Program, arguments and standard input; undefined: there is no desktop to open anything on, no way to it that others do not see, or
 * the address is none of the web.
 */
export function openerOf(
  address: string,
  { os, env, exists }: { os: string; env: Env; exists: (path: string) => boolean },
): { program: string; args: string[]; stdin: string } | undefined {
  const { protocol, href } = new URL(address);
  if (protocol !== "https:" && protocol !== "http:") return undefined;
  // It may be a stranger's, and stands within quotes: what would end these means the same to a browser as its number does.
  const url = href.replaceAll(/['"\\]/g, encodeQuote);
  switch (os) {
    case "linux": {
      // What it is given, and the browser after it, every user of this machine reads in /proc: a secret's address is printed instead.
      if (new URL(url).hash !== "") return undefined;
      // Without a display it would start a browser in this terminal.
      const program = env["DISPLAY"] || env["WAYLAND_DISPLAY"] ? XDG_OPEN.find(exists) : undefined;
      return program === undefined ? undefined : { program, args: [url], stdin: "" };
    }
    case "darwin":
      return { program: "/usr/bin/osascript", args: ["-"], stdin: `open location "${url}"\n` };
    case "windows":
      return {
        program: POWERSHELL,
        args: ["-NoProfile", "-NonInteractive", "-Command", "-"],
        stdin: `Start-Process '${url}'\n`,
      };
    default:
      return undefined;
  }
}

function encodeQuote(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** Opens it. Returns whether a program took it. */
export async function openInBrowser(url: string, env: Env): Promise<boolean> {
  const opener = openerOf(url, { os: Deno.build.os, env, exists: existsSync });
  if (opener === undefined) return false;
  const passed = PASSED.flatMap((name) => env[name] === undefined ? [] : [[name, env[name]!]]);
  try {
    const child = new Deno.Command(opener.program, {
      args: opener.args,
      env: Object.fromEntries(passed),
      clearEnv: true,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(opener.stdin)).catch(() => {});
    await writer.close().catch(() => {});
    return (await child.status).success;
  } catch {
    return false;
  }
}
