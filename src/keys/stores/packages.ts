/** What Debian's packages a machine lacks for a key store: all of them at once, since one alone helps nobody. */

/** Any of the programs is enough; the package is the one to install where none is there. */
const NEEDED: readonly (readonly [programs: readonly string[], debianPackage: string])[] = [
  [["/usr/bin/dbus-daemon", "/usr/bin/dbus-broker"], "dbus-daemon"],
  [["/usr/bin/gdbus"], "libglib2.0-bin"],
  [["/usr/bin/secret-tool"], "libsecret-tools"],
  [
    [
      "/usr/bin/gnome-keyring-daemon",
      "/usr/bin/kwalletd5",
      "/usr/bin/kwalletd6",
      "/usr/bin/keepassxc",
    ],
    "gnome-keyring",
  ],
];

const IN_MEMORY = "--ephemeral (in memory, for this time) or ";
/** Sources of a key that need none of it; every hint of a missing key store names them. */
export const OTHER_SOURCES =
  `name another source of the key (secllama help keys): ${IN_MEMORY}--key-file FILE (a file under a passphrase)`;
/** Where the key store is there, and nobody is logged in. */
export const LOG_IN = `log in to the desktop, or ${OTHER_SOURCES}`;

/** A hint as it is for what needs a key that lasts: it names none in memory. */
export function lasting(hint: string): string {
  return hint.replaceAll(IN_MEMORY, "");
}

/** The packages that are missing, by the programs of `NEEDED`. */
export function missingPackages(isThere: (path: string) => boolean = exists): string[] {
  return NEEDED.filter(([programs]) => !programs.some(isThere)).map(([, name]) => name);
}

/** What to do where there is no key store: the packages that are missing, or `otherwise`; and the other sources. */
export function storeHint(otherwise: string, isThere?: (path: string) => boolean): string {
  const missing = missingPackages(isThere);
  if (missing.length === 0) return `${otherwise}, or ${OTHER_SOURCES}`;
  return `install ${missing.join(" ")} and log in anew, or ${OTHER_SOURCES}`;
}

/** Only what is known to be missing counts: a process may look at the programs of its key store alone. */
function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
