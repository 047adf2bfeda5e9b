/** Debian's minbase as a folder, made once and kept between runs. */
import { join } from "node:path";
import { runToEnd } from "./run_to_end.ts";

/** The folder. Nothing is written to it by those who use it. */
export const BASE_SYSTEM = new URL("../../build/base-system", import.meta.url).pathname;
const DEBOOTSTRAP = "/usr/sbin/debootstrap";
const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/**
 * Makes the folder, if it is not there: in a full run by debootstrap, which takes a processor more than a minute. In a plain run it
 * has the files of the same packages, as this machine has them installed: programs and libraries are byte for byte the same, and
 * nothing else is in it, but no package was configured in it, and there is nothing to install another with.
 * @returns Why it cannot be had, or "".
 */
export async function makeBaseSystem(): Promise<string> {
  const way = Deno.env.get("SECLLAMA_FULL") === "1" ? "debootstrap" : "copied";
  const mark = join(BASE_SYSTEM, ".complete");
  const made = await Deno.readTextFile(mark).catch(() => undefined);
  if (made === "debootstrap" || made === way) return "";
  if (Deno.uid() !== 0) return "a base system needs root";
  if (!await exists("/usr/bin/dpkg-query")) return "this is no Debian";
  await Deno.remove(BASE_SYSTEM, { recursive: true }).catch(() => {});
  const why = way === "copied" ? await copyPackages() : await bootstrap();
  if (why === "") await Deno.writeTextFile(mark, way);
  return why;
}

/** debootstrap mounts /proc in the folder: in namespaces of its own, so that no mount is left on the host, whenever it is ended. */
async function bootstrap(): Promise<string> {
  if (!await exists(DEBOOTSTRAP)) return "debootstrap is not installed";
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(await Deno.readTextFile("/etc/os-release"))?.[1];
  const { code, stdout } = await runToEnd([
    ...["/usr/bin/unshare", "--mount", "--propagation", "private", "--pid", "--fork"],
    ...["--kill-child", "--mount-proc"],
    ...[DEBOOTSTRAP, "--variant=minbase", suite ?? "bookworm", BASE_SYSTEM],
  ], { env: ENV });
  return code === 0 ? "" : `debootstrap failed: ${stdout.trim().split("\n").at(-1)}`;
}

interface Package {
  readonly name: string;
  readonly base: boolean;
  /** Of each dependency, the packages that fulfil it. */
  readonly needs: readonly (readonly string[])[];
  readonly provides: readonly string[];
}

const FIELDS = ["db:Status-Status", "Package", "Priority", "Essential", "Pre-Depends", "Depends"];

/** What is installed, by dpkg-query(1). */
async function installedPackages(): Promise<Package[]> {
  const format = [...FIELDS, "Provides"].map((field) => `\${${field}}`).join("\t");
  const { stdout } = await runToEnd(
    ["/usr/bin/dpkg-query", "--show", `--showformat=${format}\n`],
    { env: ENV },
  );
  const names = (list: string) => list.split("|").map((one) => one.trim().split(/[ :(]/)[0]!);
  const lists = (text: string) => text.split(",").map(names).filter(([first]) => first !== "");
  return stdout.split("\n").map((line) => line.split("\t"))
    .filter(([status]) => status === "installed")
    .map(([, name, priority, essential, before, depends, provides]) => ({
      name: name!,
      base: priority === "required" || essential === "yes",
      needs: [...lists(before!), ...lists(depends!)],
      provides: lists(provides!).flat(),
    }));
}

/** The packages of the base system, and what they need. */
function closure(installed: readonly Package[]): Set<string> {
  const named = new Map<string, Package>();
  for (const one of installed) for (const name of one.provides) named.set(name, one);
  for (const one of installed) named.set(one.name, one);
  const found = new Set<string>();
  const open = installed.filter((one) => one.base);
  for (let one = open.pop(); one; one = open.pop()) {
    if (found.has(one.name)) continue;
    found.add(one.name);
    for (const names of one.needs) {
      const fulfils = names.map((name) => named.get(name)).find((there) => there !== undefined);
      if (fulfils) open.push(fulfils);
    }
  }
  return found;
}

/**
 * dpkg knows /bin/sh by that name though /bin is a link to usr/bin; what a package's script would have made is made here: users,
 * the linker's cache. $0: the folder; standard input: the names of files.
 */
const COPY = `
set -eu
mkdir -p "$0"
for dir in bin sbin lib lib64; do
  if [ -L "/$dir" ]; then mkdir -p "$0/usr/$dir"; ln -s "usr/$dir" "$0/$dir"; fi
done
tar --create --file=- --directory=/ --no-recursion --ignore-failed-read --files-from=- 2>/dev/null |
  tar --extract --file=- --directory="$0" --keep-directory-symlink
mkdir -p -m 1777 "$0/tmp"
mkdir -p -m 0700 "$0/root"
mkdir -p "$0/proc" "$0/sys" "$0/dev" "$0/run" "$0/mnt" "$0/opt" "$0/home"
cp "$0/usr/share/base-passwd/passwd.master" "$0/etc/passwd"
cp "$0/usr/share/base-passwd/group.master" "$0/etc/group"
ldconfig -r "$0"
`;

async function copyPackages(): Promise<string> {
  const packages = [...closure(await installedPackages())];
  const { stdout } = await runToEnd(["/usr/bin/dpkg", "--listfiles", ...packages], { env: ENV });
  const files = stdout.split("\n").filter((path) => /^\/[^.]/.test(path))
    .map((path) => path.slice(1));
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", COPY, BASE_SYSTEM],
    env: ENV,
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode([...new Set(files)].join("\n") + "\n"));
  await writer.close();
  const { success, stderr } = await child.output();
  return success ? "" : `copying the base system failed: ${new TextDecoder().decode(stderr)}`;
}
