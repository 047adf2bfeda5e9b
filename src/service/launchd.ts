/** The service of one user under macOS' launchd(8). It was never run there: no Mac was at hand. */
import { dirname, join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import type { RunProgram } from "../keys/stores/program.ts";
import {
  type InstallOptions,
  must,
  type Report,
  type ServiceManager,
  type ServiceState,
} from "./manager.ts";
import { isOurs, launchAgents } from "./units.ts";

const LAUNCHCTL = "/bin/launchctl";
const LABEL = "secllama";

interface LaunchdOptions {
  readonly env: { readonly [name: string]: string | undefined };
  readonly run: RunProgram;
  readonly uid: number;
}

export class Launchd implements ServiceManager {
  readonly #o: LaunchdOptions;
  readonly #file: string;
  readonly #domain: string;

  constructor(options: LaunchdOptions) {
    this.#o = options;
    this.#file = join(options.env["HOME"] ?? "/", "Library/LaunchAgents/secllama.plist");
    this.#domain = `gui/${options.uid}`;
  }

  async install({ program, proxy, start }: InstallOptions): Promise<Report> {
    if (proxy) {
      throw new SecLlamaError("not-supported", "--proxy is not offered for launchd", {
        hint: "start secllama proxy at login by other means",
      });
    }
    const text = await Deno.readTextFile(this.#file).catch(() => undefined);
    if (text !== undefined && !isOurs(text)) {
      throw new SecLlamaError(
        "key-refused",
        `${this.#file} is there, and this command did not write it`,
        {
          hint: "move it away, and run the command again",
        },
      );
    }
    await Deno.mkdir(dirname(this.#file), { recursive: true });
    await Deno.writeTextFile(this.#file, launchAgents(program)[0]!.text, { mode: 0o644 });
    const done = [`wrote ${this.#file}`];
    if (start) {
      await this.#launchctl(["bootout", `${this.#domain}/${LABEL}`]).catch(() => {}); // it did not run
      await this.#launchctl(["bootstrap", this.#domain, this.#file]);
      done.push(`started: ${LABEL}`);
    }
    return { done, next: [] };
  }

  async uninstall(): Promise<Report> {
    const text = await Deno.readTextFile(this.#file).catch(() => undefined);
    if (text === undefined) return { done: [], next: [] };
    if (!isOurs(text)) {
      return { done: [`left alone, somebody else wrote it: ${this.#file}`], next: [] };
    }
    await this.#launchctl(["bootout", `${this.#domain}/${LABEL}`]).catch(() => {}); // it does not run
    await Deno.remove(this.#file);
    return {
      done: [`stopped and removed ${this.#file}`],
      next: ["kept: keys, clients and models; to remove them too: secllama uninstall"],
    };
  }

  async status(): Promise<ServiceState[]> {
    const text = await this.#launchctl(["print", `${this.#domain}/${LABEL}`]).catch(() => "");
    const fact = (key: string) => new RegExp(`^\\s*${key} = (.*)$`, "m").exec(text)?.[1] ?? "";
    const installed = await Deno.lstat(this.#file).then(() => true, () => false);
    const pid = Number(fact("pid") || NaN);
    return [{
      name: LABEL,
      file: this.#file,
      socket: false,
      installed,
      state: fact("state") || "not loaded",
      active: fact("state") === "running",
      enabled: installed,
      pid: Number.isInteger(pid) ? pid : null,
      restarts: null,
      says: "",
    }];
  }

  async #launchctl(args: readonly string[]): Promise<string> {
    const env = { PATH: "/usr/bin:/bin", HOME: this.#o.env["HOME"] ?? "/" };
    return await must(
      this.#o.run,
      [LAUNCHCTL, ...args],
      env,
      "see Console.app for what it printed",
    );
  }
}
