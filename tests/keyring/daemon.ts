/**
 * A private Secret Service for tests: a D-Bus session and gnome-keyring-daemon with a home of their own, nothing of the
 * user's touched. Works as root and as an ordinary user, in about 0.2 s. Debian packages: dbus-daemon libsecret-tools
 * gnome-keyring libglib2.0-bin; without them `missingPackages` names them, and a test should print that and skip.
 *
 *   await using keyring = await startKeyring();                  // unlocked with a password
 *   const env = keyring.env;                                     // for the process under test, or its `env` option
 *
 * `env` holds HOME, the XDG folders, DBUS_SESSION_BUS_ADDRESS, PATH and DENO_DIR.
 * The session ends with this process even if it is killed: it hangs on a pipe that closes with it.
 */
import { until } from "../support/patience.ts";
import { denoDir } from "../support/deno_dir.ts";

export interface KeyringOptions {
  /** Unlocks, and on the first start makes, the login keyring. Null starts the daemon without unlocking. */
  readonly password?: string | null;
  /** A folder from an earlier session, to start again over the same files. */
  readonly home?: string;
  /** Run the session as this user; needs root. */
  readonly uid?: number;
  /** Without it there is a D-Bus session that nobody offers the Secret Service on. Default true. */
  readonly daemon?: boolean;
}

const TOOLS: readonly (readonly [path: string, debianPackage: string])[] = [
  ["/usr/bin/dbus-run-session", "dbus-daemon"],
  ["/usr/bin/secret-tool", "libsecret-tools"],
  ["/usr/bin/gnome-keyring-daemon", "gnome-keyring"],
  ["/usr/bin/gdbus", "libglib2.0-bin"],
];

/** The packages that are not installed; empty when {@link startKeyring} can work. */
export function missingPackages(): string[] {
  return TOOLS.filter(([path]) => {
    try {
      Deno.statSync(path);
      return false;
    } catch {
      return true;
    }
  }).map(([, debianPackage]) => debianPackage);
}

/** For `Deno.test({ ignore: keyringIgnored() })`: prints once why the tests are skipped. */
export function keyringIgnored(): boolean {
  const missing = Deno.build.os === "linux" ? missingPackages() : ["(Linux only)"];
  if (missing.length === 0) return false;
  console.error(`SKIP: tests of the real key store need the packages: ${missing.join(" ")}`);
  return true;
}

export class Keyring {
  readonly env: Record<string, string>;
  readonly #session: Deno.ChildProcess;
  readonly #uid: number | undefined;
  readonly #removeHome: boolean;
  #daemon: Deno.ChildProcess | undefined;

  private constructor(
    env: Record<string, string>,
    session: Deno.ChildProcess,
    uid: number | undefined,
    removeHome: boolean,
  ) {
    this.env = env;
    this.#session = session;
    this.#uid = uid;
    this.#removeHome = removeHome;
  }

  /** The private home folder. Keyrings are in `keyrings` of {@link dataHome}. */
  get home(): string {
    return this.env["HOME"]!;
  }

  get dataHome(): string {
    return this.env["XDG_DATA_HOME"]!;
  }

  /** The folder of the daemon's own files: `login.keyring`. */
  get keyrings(): string {
    return `${this.dataHome}/keyrings`;
  }

  get daemonPid(): number {
    return this.#daemon!.pid;
  }

  static async start(options: KeyringOptions = {}): Promise<Keyring> {
    const home = options.home ?? await Deno.makeTempDir({ prefix: "secllama-keyring-" });
    const env: Record<string, string> = {
      HOME: home,
      XDG_DATA_HOME: `${home}/data`,
      XDG_CONFIG_HOME: `${home}/config`,
      XDG_CACHE_HOME: `${home}/cache`,
      XDG_RUNTIME_DIR: `${home}/run`,
      PATH: "/usr/bin:/bin",
      LANG: "C.UTF-8",
      // Another user may not come to ours, and makes a cache of compiled code for itself.
      DENO_DIR: options.uid === undefined ? denoDir() : `${home}/cache/deno`,
    };
    for (const name of ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"]) {
      await Deno.mkdir(env[name]!, { recursive: true, mode: 0o700 });
      if (options.uid !== undefined) await Deno.chown(env[name]!, options.uid, options.uid);
    }
    if (options.uid !== undefined) await Deno.chown(home, options.uid, options.uid);
    // No service folders: nothing is activated behind the test's back.
    const config = `${home}/session.conf`;
    await Deno.writeTextFile(
      config,
      `<busconfig><type>session</type><listen>unix:path=${home}/run/bus</listen>` +
        `<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/>` +
        `<allow own="*"/></policy></busconfig>`,
    );
    await Deno.chmod(config, 0o644);
    const [path, args] = asUser(options.uid, "/usr/bin/dbus-run-session", [
      `--config-file=${config}`,
      "--",
      "/bin/sh",
      "-c",
      'printf "%s\\n" "$DBUS_SESSION_BUS_ADDRESS"; exec cat >/dev/null',
    ]);
    const session = new Deno.Command(path, {
      args,
      env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    env["DBUS_SESSION_BUS_ADDRESS"] = await firstLine(session.stdout);
    const keyring = new Keyring(env, session, options.uid, options.home === undefined);
    if (options.daemon ?? true) {
      await keyring.startDaemon(
        options.password === undefined ? "a test password" : options.password,
      );
    }
    return keyring;
  }

  /** Starts gnome-keyring-daemon and waits until it answers. It says nothing about a wrong password. */
  async startDaemon(password: string | null): Promise<void> {
    const [path, args] = asUser(this.#uid, "/usr/bin/gnome-keyring-daemon", [
      "--foreground",
      "--components=secrets",
      ...(password === null ? [] : ["--unlock"]),
    ]);
    this.#daemon = new Deno.Command(path, {
      args,
      env: this.env,
      clearEnv: true,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const stdin = this.#daemon.stdin.getWriter();
    if (password !== null) await stdin.write(new TextEncoder().encode(password));
    await stdin.close();
    const answers = async () =>
      (await this.tool("/usr/bin/gdbus", [
        "call",
        "--session",
        "--timeout=20",
        "--dest=org.freedesktop.secrets",
        "--object-path=/org/freedesktop/secrets",
        "--method=org.freedesktop.Secret.Service.ReadAlias",
        "default",
      ])).success;
    await until(answers, "gnome-keyring-daemon answers");
  }

  /** Kills the daemon with SIGKILL and waits for its end. The keyring files stay. */
  async killDaemon(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) return;
    this.#daemon = undefined;
    try {
      daemon.kill("SIGKILL");
    } catch { /* ended already */ }
    await daemon.status;
  }

  /** Kills the daemon and starts it again over the same files: "a reboot". */
  async restartDaemon(password: string | null): Promise<void> {
    await this.killDaemon();
    await this.startDaemon(password);
  }

  /** Runs a tool in the session, as the session's user. */
  tool(path: string, args: string[], stdin?: string): Promise<Deno.CommandOutput> {
    const [program, all] = asUser(this.#uid, path, args);
    const child = new Deno.Command(program, {
      args: all,
      env: this.env,
      clearEnv: true,
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (stdin !== undefined) {
      const writer = child.stdin.getWriter();
      writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()).catch(() => {});
    }
    return child.output();
  }

  async close(): Promise<void> {
    if (this.#daemon !== undefined) {
      try {
        this.#daemon.kill("SIGCONT");
      } catch { /* ended already */ }
    }
    await this.killDaemon();
    try {
      await this.#session.stdin.close();
    } catch { /* ended already */ }
    await this.#session.status;
    if (this.#removeHome) await Deno.remove(this.home, { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Starts a private session; see the head of this file. */
export function startKeyring(options: KeyringOptions = {}): Promise<Keyring> {
  return Keyring.start(options);
}

/** A keyring with a blank password, as GNOME writes it: the secrets are in it as text. Write it before the daemon starts. */
export async function writePlaintextKeyring(home: string): Promise<void> {
  const folder = `${home}/data/keyrings`;
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(
    `${folder}/login.keyring`,
    "[keyring]\ndisplay-name=login\nctime=0\nmtime=1\nlock-on-idle=false\nlock-after=false\n",
    { mode: 0o600 },
  );
}

function asUser(
  uid: number | undefined,
  path: string,
  args: string[],
): [path: string, args: string[]] {
  if (uid === undefined) return [path, args];
  return ["/usr/bin/setpriv", [
    `--reuid=${uid}`,
    `--regid=${uid}`,
    "--clear-groups",
    "--",
    path,
    ...args,
  ]];
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the D-Bus session did not start");
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text.slice(0, text.indexOf("\n"));
}
