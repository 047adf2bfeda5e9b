/** The service under systemd: of the system, in a network of its own, or of one user. */
import { dirname, join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import type { RunProgram } from "../keys/stores/program.ts";
import { CREDENTIAL_FILE, ensureCredential, SERVICE_DATA } from "./credential.ts";
import {
  type InstallOptions,
  must,
  type Report,
  type ServiceManager,
  type ServiceState,
} from "./manager.ts";
import { isThere } from "./there.ts";
import { isOurs, type ServiceFile, systemUnits, userUnits } from "./units.ts";

const SYSTEMCTL = "/usr/bin/systemctl";
const FIELDS = [
  "LoadState",
  "ActiveState",
  "SubState",
  "UnitFileState",
  "MainPID",
  "NRestarts",
  "StatusText",
  "Result",
];

export type Scope = "system" | "user";

interface SystemdOptions {
  readonly scope: Scope;
  readonly env: { readonly [name: string]: string | undefined };
  readonly run: RunProgram;
  /** The user's own folders, which systemd asks to be there: data and cache. */
  readonly folders: readonly string[];
}

export class Systemd implements ServiceManager {
  readonly #o: SystemdOptions;
  readonly #env: Record<string, string>;
  readonly #folder: string;

  /** @throws {SecLlamaError} `not-supported` where no systemd runs, `key-refused` for the system's as an ordinary user. */
  constructor(options: SystemdOptions) {
    this.#o = options;
    const { env, scope } = options;
    if (!isThere("/run/systemd/system")) {
      throw new SecLlamaError("not-supported", "systemd does not run here", {
        hint:
          "start secllama serve by what starts programs here; in a container it is the command itself",
      });
    }
    if (scope === "system" && Deno.uid() !== 0) {
      throw new SecLlamaError("key-refused", "only root may install a service of the system", {
        hint: "run it by sudo; or for you alone: secllama service install --user",
      });
    }
    const config = env["XDG_CONFIG_HOME"] || join(env["HOME"] ?? "/", ".config");
    this.#folder = scope === "system" ? "/etc/systemd/system" : join(config, "systemd/user");
    this.#env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" };
    if (scope === "user") {
      const runtime = env["XDG_RUNTIME_DIR"] ?? `/run/user/${Deno.uid()}`;
      if (!isThere(join(runtime, "systemd"))) {
        throw new SecLlamaError(
          "not-supported",
          "no systemd of yours runs: you are not logged in through it",
          {
            hint:
              "log in again instead of by su or sudo, or as root run: loginctl enable-linger USER",
          },
        );
      }
      Object.assign(this.#env, { XDG_RUNTIME_DIR: runtime, HOME: env["HOME"] ?? "/" });
    }
  }

  async install({ program, proxy, start }: InstallOptions): Promise<Report> {
    const { scope, run } = this.#o;
    const done: string[] = [];
    const files = scope === "system" ? systemUnits(program) : userUnits(program, { proxy });
    for (const file of files) await this.#mayWrite(file);
    if (scope === "system") {
      await checkProgram(program);
      if (await ensureCredential(run)) {
        done.push(`made a key, encrypted for this machine: ${CREDENTIAL_FILE}`);
      }
    }
    for (const folder of scope === "user" ? this.#o.folders : []) {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    }
    await Deno.mkdir(this.#folder, { recursive: true });
    for (const file of files) {
      const path = join(this.#folder, file.name);
      await Deno.writeTextFile(path, file.text, { mode: 0o644 });
      await Deno.chmod(path, 0o644); // whatever the umask
      done.push(`wrote ${path}`);
    }
    await this.#systemctl(["daemon-reload"]);
    const enabled = files.filter(({ enable }) => enable).map(({ name }) => name);
    await this.#systemctl(["enable", ...enabled]);
    done.push(`starts by itself: ${enabled.join(", ")}`);
    if (start) {
      // An older version of it may run.
      await this.#systemctl(["restart", ...enabled]);
      done.push(`started: ${enabled.join(", ")}`);
    }
    return { done, next: this.#next(proxy) };
  }

  async uninstall(): Promise<Report> {
    const done: string[] = [];
    const all = this.#o.scope === "system"
      ? systemUnits("/secllama")
      : [true, false].flatMap((proxy) => userUnits("/secllama", { proxy }));
    for (const { name } of all) {
      const path = join(this.#folder, name);
      const text = await Deno.readTextFile(path).catch(() => undefined);
      if (text === undefined) continue;
      if (!isOurs(text)) {
        done.push(`left alone, somebody else wrote it: ${path}`);
        continue;
      }
      await this.#systemctl(["disable", "--now", name]);
      await Deno.remove(path);
      done.push(`stopped and removed ${path}`);
    }
    if (done.length > 0) await this.#systemctl(["daemon-reload"]);
    const kept = this.#o.scope === "system"
      ? [`kept: the key ${CREDENTIAL_FILE}, and models and clients in ${SERVICE_DATA}`]
      : ["kept: keys, clients and models; to remove them too: secllama uninstall"];
    return { done, next: done.length > 0 ? kept : [] };
  }

  async status(): Promise<ServiceState[]> {
    const names = this.#o.scope === "system"
      ? ["secllama.service", "secllama-listen.socket"]
      : ["secllama.service", "secllama-proxy.service"];
    return await Promise.all(names.map(async (name): Promise<ServiceState> => {
      const text = await this.#systemctl(["show", `--property=${FIELDS.join(",")}`, name]);
      const facts = new Map(
        text.trim().split("\n").map((line) => {
          const at = line.indexOf("=");
          return [line.slice(0, at), line.slice(at + 1)] as const;
        }),
      );
      const state = facts.get("ActiveState") ?? "unknown";
      const number = (key: string) => Number(facts.get(key) ?? NaN);
      const failed = state === "failed" || facts.get("SubState") === "auto-restart";
      return {
        name,
        file: join(this.#folder, name),
        socket: name.endsWith(".socket"),
        installed: facts.get("LoadState") === "loaded",
        state: `${state} (${failed ? facts.get("Result") : facts.get("SubState")})`,
        active: state === "active",
        enabled: facts.get("UnitFileState") === "enabled",
        pid: number("MainPID") > 0 ? number("MainPID") : null,
        restarts: Number.isInteger(number("NRestarts")) ? number("NRestarts") : null,
        says: facts.get("StatusText") ?? "",
      };
    }));
  }

  /**
   * The command line by which a command of ours runs as the service's user, with its key, its folders, and the settings of the unit
   * and its drop-ins: what is to be recorded, or which models may be had, is no other than the service's.
   * @throws {SecLlamaError} `service-failed`.
   */
  async runAsService(program: string, args: readonly string[]): Promise<string[]> {
    const environment = await this.#property("Environment") as string[];
    const files = await this.#property("EnvironmentFiles") as [path: string, optional: boolean][];
    const passed = await this.#property("PassEnvironment") as string[];
    const unset = await this.#property("UnsetEnvironment") as string[];
    const properties = [
      "DynamicUser=yes",
      "User=secllama",
      // As the unit has them: systemd gives the folders the mode that it was told last, also while the service runs.
      ...["StateDirectory=secllama", "StateDirectoryMode=0700"],
      ...["CacheDirectory=secllama", "CacheDirectoryMode=0700"],
      "UMask=0077",
      `LoadCredentialEncrypted=secllama-key:${CREDENTIAL_FILE}`,
      ...files.map(([path, optional]) => `EnvironmentFile=${optional ? "-" : ""}${path}`),
      ...passed.map((name) => `PassEnvironment=${name}`),
      // Names, or names with the value that is taken away.
      ...unset.map((one) => `UnsetEnvironment=${quotedWord(one)}`),
    ];
    const variables = [
      "SECLLAMA_DATA_DIR=/var/lib/secllama",
      "XDG_CACHE_HOME=/var/cache/secllama",
      "XDG_STATE_HOME=/var/cache/secllama/state",
      ...environment,
    ];
    return [
      ...["/usr/bin/systemd-run", "--pipe", "--wait", "--quiet", "--collect"],
      ...properties.flatMap((property) => ["-p", property]),
      ...variables.flatMap((variable) => ["-E", variable]),
      // systemd puts variables in their place, and makes words of them.
      ...["--", program, ...args.map((arg) => arg.replaceAll("$", "$$$$"))],
    ];
  }

  /** A property of the service, as systemd has it; empty where there is no such unit. */
  async #property(name: string): Promise<unknown> {
    const bus = "org.freedesktop.systemd1";
    const text = await must(
      this.#o.run,
      [
        "/usr/bin/busctl",
        ...["--system", "--json=short", "get-property", bus],
        ...["/org/freedesktop/systemd1/unit/secllama_2eservice", `${bus}.Service`, name],
      ],
      this.#env,
      "its settings are needed: systemctl show secllama.service",
    );
    return JSON.parse(text).data;
  }

  #next(proxy: boolean): string[] {
    const { scope } = this.#o;
    if (scope === "system") {
      return [
        "it serves 127.0.0.1:11435, sealed requests only; let a user of this machine in by:",
        "  secllama service run pair NAME --no-qr --url http://127.0.0.1:11435",
        "  secllama proxy --pair - --as machine     # as that user",
      ];
    }
    return [
      ...(proxy ? ["pair it with a gateway, if that was not done: secllama proxy --pair -"] : []),
      "it runs while you are logged in; to run it always, as root: loginctl enable-linger " +
      `${this.#o.env["USER"] ?? "USER"}`,
    ];
  }

  async #mayWrite({ name }: ServiceFile): Promise<void> {
    const path = join(this.#folder, name);
    const text = await Deno.readTextFile(path).catch(() => undefined);
    if (text === undefined || isOurs(text)) return;
    throw new SecLlamaError("key-refused", `${path} is there, and this command did not write it`, {
      hint:
        "put what you changed into a drop-in (systemctl edit secllama), remove the file, and run the command again",
    });
  }

  async #systemctl(args: readonly string[]): Promise<string> {
    const user = this.#o.scope === "user" ? ["--user"] : [];
    const logs = `journalctl ${[...user, "--unit", "secllama", "--lines", "20"].join(" ")}`;
    return await must(
      this.#o.run,
      [SYSTEMCTL, ...user, "--no-pager", "--no-ask-password", ...args],
      this.#env,
      `to see why, run: ${logs}`,
    );
  }
}

/** As one word of a property's list: systemd.syntax(7), "Quoting". */
function quotedWord(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/**
 * A service of the system runs as another user and sees no home folder: its program must be root's, in a folder that all may enter,
 * and nobody else may be able to replace it.
 * @throws {SecLlamaError} `key-refused`.
 */
async function checkProgram(program: string): Promise<void> {
  const fail = (why: string) =>
    new SecLlamaError("key-refused", `${program}: ${why}`, {
      hint:
        `run: install -m 755 ${program} /usr/local/bin/secllama && /usr/local/bin/secllama service install`,
    });
  const home = /^\/(home|root|run\/user)\//.exec(program);
  if (home) throw fail("a service of the system sees no home folder");
  const info = await Deno.stat(program).catch((cause) => {
    throw new SecLlamaError("usage", `${program}: there is no such file`, {
      field: "--program",
      cause,
    });
  });
  const file = info.mode ?? 0;
  if (info.uid !== 0 || (file & 0o022) !== 0) throw fail("others than root can change it");
  if ((file & 0o005) !== 0o005) throw fail("not everybody may run it");
  for (let folder = dirname(program);; folder = dirname(folder)) {
    const { uid, mode } = await Deno.stat(folder);
    const open = ((mode ?? 0) & 0o022) !== 0 && ((mode ?? 0) & 0o1000) === 0;
    if (uid !== 0 || open) throw fail(`others than root can change ${folder}`);
    if (((mode ?? 0) & 0o001) === 0) throw fail(`not everybody may enter ${folder}`);
    if (folder === "/") return;
  }
}
