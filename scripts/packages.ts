/**
 * Gets the npm packages of deno.lock, if they are not there yet, and says so in a line or two. Deno would do it by itself, with a
 * line for each package and a warning about a build script that nobody needs; so `nodeModulesDir` is manual.
 */
import { createHash } from "node:crypto";

/** Which lock the packages there belong to. */
const STAMP = "build/packages.sha256";
/** After so long without news, whoever waits is told what for. */
const SILENCE_MS = 10_000;

interface LockedPackage {
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

/** How many packages of a lock file's text are for this machine. */
export function countPackages(
  lock: string,
  os: string = Deno.build.os,
  arch: string = Deno.build.arch,
): number {
  const { npm } = JSON.parse(lock) as { npm: Record<string, LockedPackage> };
  const [system, cpu] = [{ windows: "win32" }[os] ?? os, arch === "aarch64" ? "arm64" : "x64"];
  return Object.values(npm).filter((one) =>
    (one.os?.includes(system) ?? true) && (one.cpu?.includes(cpu) ?? true)
  ).length;
}

/** Counts what `deno install` reports, a line for each package that is put in place, and knows whom it last asked. */
export class Progress {
  done = 0;
  host = "the registry of npm packages";
  readonly errors: string[] = [];
  #rest = "";

  /** @param text What came, cut anywhere. */
  take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith("Initialize ")) this.done++;
      const [, url] = /^Download (\S+)/.exec(line) ?? [];
      if (url !== undefined && URL.canParse(url)) this.host = new URL(url).host;
      if (/^(error:|\s+\d+: [A-Za-z])/.test(line)) this.errors.push(line.trim());
    }
  }
}

/** What to do about a download that failed for this reason. */
export function hintOf(reason: string): string {
  // A firm's network that opens TLS signs with a certificate of its own, which Deno does not look for.
  return /UnknownIssuer|invalid peer certificate/.test(reason)
    ? "if this network opens TLS, have Deno trust its certificate (DENO_TLS_CA_STORE=system, or DENO_CERT=FILE)"
    : "check the network";
}

/** @throws Never: it ends the program with what went wrong. */
export async function installPackages(): Promise<void> {
  const lock = await Deno.readTextFile("deno.lock");
  const digest = createHash("sha256").update(lock).digest("hex");
  const stamp = await Deno.readTextFile(STAMP).catch(() => "");
  const there = await Deno.stat("node_modules/.deno").then(() => true, () => false);
  if (there && stamp === digest) return;

  // Until all are there no lock has them: an install that is broken off has changed some.
  await Deno.remove(STAMP).catch(() => {});
  const say = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  const onTerminal = Deno.stderr.isTerminal();
  const total = countPackages(lock);
  say(`getting ${total} packages, for the first time only (115 MB if none is here yet)\n`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["install", "--frozen"],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const progress = new Progress();
  let told = false;
  const wait = () =>
    setTimeout(() => {
      if (told) return;
      told = true;
      say(
        `${onTerminal ? "\r\x1b[K" : ""}no news from ${progress.host} for 10 s: ` +
          "a slow network, or none? Ctrl-C ends the wait; what has come is kept\n",
      );
    }, SILENCE_MS);
  let timer = wait();
  const text = child.stderr.pipeThrough(new TextDecoderStream());
  for await (const chunk of text) {
    clearTimeout(timer);
    timer = wait();
    progress.take(chunk);
    const done = Math.min(progress.done, total);
    if (onTerminal && done > 0) say(`\r\x1b[K  ${done} of ${total}`);
  }
  const { success, code } = await child.status;
  clearTimeout(timer);
  if (onTerminal) say("\r\x1b[K");
  if (!success) {
    const [what = `deno install ended with ${code}`, why] = progress.errors;
    const reason = why === undefined ? "" : `: ${why.replace(/^\d+: /, "")}`;
    say(`error: the packages cannot be had: ${what.replace(/^error: /, "")}${reason}\n`);
    say(`hint: ${hintOf(reason)}, then run the same command again; what has come is kept\n`);
    Deno.exit(1);
  }
  await Deno.mkdir("build", { recursive: true });
  await Deno.writeTextFile(STAMP, digest);
}
