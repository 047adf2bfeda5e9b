/**
 * An attack run: a battlefield on the host (listeners, a process, a folder of files, a leaked descriptor) and an attacker started
 * by a plan, or without one. The host judges by what it saw: hits that its listeners counted, files that changed, secrets that came
 * back, programs that took the attacker's place.
 */
import { type OwnReport, ownReports } from "../../api/pipe_messages.ts";
import { alloc, AT_FDCWD, cstr, linux, O } from "../../linux/libc.ts";
import type { AttackTargets, TargetName } from "../types.ts";
import { type HitCounts, ProbeListeners } from "../linux_listeners.ts";
import type { PolicyPart } from "../../linux/seccomp.ts";
import type { StartOptions } from "../../sandbox/spawn.ts";

/** As src/escape/attacks/attack.ts has it. */
interface Field {
  readonly targets: AttackTargets;
  readonly victimPid: number;
  readonly canary: string;
  readonly folder: string;
  readonly leakedFd: number;
  readonly hostname: string;
}

export interface AttackRunOutcome {
  readonly out: boolean;
  readonly step: string;
  readonly errno: string;
  readonly proof?: string;
}

export interface AttackRunResult {
  /** The attacks in the order in which they were to be made. */
  readonly ordered: readonly string[];
  /** The attacker said that it was in its place, about to make the first one. */
  readonly started: boolean;
  /** By the attack's name; an attack that was ordered and is missing here ended the process. */
  readonly outcomes: ReadonlyMap<string, AttackRunOutcome>;
  /** The attacker's stage 2. */
  readonly lockdown: readonly { layer: string; enforced: boolean; observed: string }[];
  /** What the model wrote before and after the attacks; "" without a model. */
  readonly before: string;
  readonly after: string;
  readonly hits: HitCounts;
  /** Listeners that this machine cannot have: there is no such way for anybody. */
  readonly absent: ReadonlySet<TargetName>;
  /** Names in the folder that were made, changed or removed. */
  readonly changed: readonly string[];
  readonly code: number;
  readonly signal: string | null;
  readonly stderr: string;
}

/** Starts the attacker, in a sandbox or not, with pipes for its standard streams. */
export type StartAttacker = (options: StartOptions) => Promise<Deno.ChildProcess>;

/** Files of the folder, with the canary in those that are secret. */
const SECRET = ["secret", "key.json", "other-model.gguf"];
const PLAIN = ["plain", "expendable"];
const LEAKED_FD = 77;

function absentTargets(targets: AttackTargets): Set<TargetName> {
  return new Set((Object.keys(targets) as TargetName[]).filter((name) => targets[name] === null));
}

export class AttackRun {
  readonly field: Field;
  readonly #listeners: ProbeListeners;
  readonly #victim: Deno.ChildProcess;

  private constructor(field: Field, listeners: ProbeListeners, victim: Deno.ChildProcess) {
    this.field = field;
    this.#listeners = listeners;
    this.#victim = victim;
  }

  /** Sets it all up under `parent`. Sets CANARY in this process's environment. */
  static async open(parent = "/tmp"): Promise<AttackRun> {
    const canary = `canary-${crypto.randomUUID()}`;
    Deno.env.set("SECLLAMA_TRIAL_CANARY", canary);
    const folder = await Deno.makeTempDir({ dir: parent, prefix: "secllama-attack-" });
    const listeners = ProbeListeners.open({ parent });
    // It waits for a word that never comes, and ends with this process however that ends: the kernel closes the pipe.
    const victim = new Deno.Command("/usr/bin/cat", {
      env: { SECLLAMA_TRIAL_CANARY: canary },
      clearEnv: true,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const field = {
      targets: listeners.targets,
      victimPid: victim.pid,
      canary,
      folder,
      leakedFd: LEAKED_FD,
      hostname: linux().readText("/proc/sys/kernel/hostname").trim(),
    };
    const run = new AttackRun(field, listeners, victim);
    run.#restore();
    return run;
  }

  /**
   * Starts the attacker and waits for its end. `watch` is called when it is ready and again when it is done, with the
   * pid of the spawned chain.
   */
  async run(
    start: StartAttacker,
    order: {
      readonly attacks: readonly string[];
      readonly model: { readonly libDir: string; readonly modelPath: string } | null;
      readonly lockdown: boolean;
      /** What its second filter leaves open, as a plan says it. */
      readonly more?: PolicyPart;
      readonly watch?: (childPid: number) => void;
      /** Is called after each attack that its attacker survived. */
      readonly onMade?: (() => void) | undefined;
    },
  ): Promise<AttackRunResult> {
    this.#restore();
    this.#listeners.hits();
    const before = this.#snapshot();
    const leaked = this.#leak();
    const starting = start({ cwd: this.field.folder });
    linux().call("close", leaked);
    const child = await starting;
    const stderr = new Response(child.stderr).text();
    const writer = child.stdin.getWriter();
    const { watch, onMade, ...rest } = order;
    const text = JSON.stringify({ ...rest, field: this.field, linger: true }) + "\n";
    writer.write(new TextEncoder().encode(text)).catch(() => {});
    const run = {
      ordered: order.attacks,
      started: false,
      outcomes: new Map<string, AttackRunOutcome>(),
      lockdown: [],
      before: "",
      after: "",
    };
    await this.#collect(child.stdout, run, onMade, () => watch?.(child.pid));
    await writer.close().catch(() => {});
    const status = await child.status;
    return {
      ...run,
      hits: this.#listeners.hits(),
      absent: absentTargets(this.field.targets),
      changed: this.#difference(before),
      code: status.code,
      signal: status.signal,
      stderr: await stderr,
    };
  }

  /** Ends the victim, the listeners and the folder. */
  async close(): Promise<void> {
    this.#listeners.close();
    try {
      this.#victim.kill("SIGKILL");
    } catch { /* an attack has ended it */ }
    await this.#victim.status;
    await this.#victim.stdin.close().catch(() => {});
    await Deno.remove(this.field.folder, { recursive: true });
  }

  /** Returns once the attacker said that it is done, or its output ended. */
  async #collect(
    stdout: ReadableStream<Uint8Array>,
    run: {
      started: boolean;
      outcomes: Map<string, AttackRunOutcome>;
      lockdown: readonly OwnReport[];
      before: string;
      after: string;
    },
    onMade: (() => void) | undefined,
    watch: () => void,
  ): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines.filter((l) => l.startsWith("{"))) {
        const message = JSON.parse(line);
        if (message.t === "ready") {
          run.started = true;
          run.lockdown = ownReports(message.lockdown, "lockdown");
          run.before = message.text;
        } else if (message.t === "attack") {
          run.outcomes.set(message.name, message.outcome);
          onMade?.();
        } else if (message.t === "done") {
          run.after = message.text;
          watch();
          return;
        }
      }
    }
  }

  /** Puts every file back as it was. Everyone may write: what stops the runner is to be the sandbox. */
  #restore(): void {
    const { folder, canary } = this.field;
    for (const entry of Deno.readDirSync(folder)) {
      Deno.removeSync(`${folder}/${entry.name}`, { recursive: true });
    }
    for (const name of [...SECRET, ...PLAIN]) {
      const path = `${folder}/${name}`;
      Deno.writeTextFileSync(path, SECRET.includes(name) ? canary : "as it was");
      Deno.chmodSync(path, 0o666);
      Deno.utimeSync(path, 1_000_000_000, 1_000_000_000);
    }
    Deno.chmodSync(folder, 0o777);
  }

  #snapshot(): Map<string, string> {
    const { folder } = this.field;
    return new Map(
      [...Deno.readDirSync(folder)].map(({ name }) => {
        const stat = Deno.lstatSync(`${folder}/${name}`);
        const text = stat.isFile && stat.size < 4096
          ? Deno.readTextFileSync(`${folder}/${name}`)
          : "";
        const attributes = linux().call("listxattr", cstr(`${folder}/${name}`), alloc(256), 256);
        return [name, [stat.mode, stat.mtime?.getTime(), stat.nlink, attributes, text].join()];
      }),
    );
  }

  #difference(before: ReadonlyMap<string, string>): string[] {
    const after = this.#snapshot();
    return [...new Set([...before.keys(), ...after.keys()])]
      .filter((name) => before.get(name) !== after.get(name)).sort();
  }

  /** A descriptor of the secret, at a fixed number, that exec does not close. */
  #leak(): number {
    const system = linux();
    const path = cstr(`${this.field.folder}/secret`);
    const fd = system.must("open the secret", "openat", AT_FDCWD, path, O.readOnly, 0);
    system.must("dup3", "dup3", fd, LEAKED_FD, 0);
    system.call("close", fd);
    return LEAKED_FD;
  }
}
