/**
 * From a plan to a sandboxed runner, and from a started runner to a verdict: listeners are opened for the runner to attack, and
 * what was measured is compared with what was promised. Nothing here trusts the runner's word where the gateway can count or
 * read for itself. It knows no system: each is behind `Platform`.
 */
import { SecLlamaError } from "../errors.ts";
import { openListeners } from "../escape/listeners.ts";
import type { Listeners } from "../escape/types.ts";
import type { BootMessage, ReadyMessage } from "../api/pipe_messages.ts";
import type { Config } from "../config/config.ts";
import {
  type Companion,
  type Confinement,
  ENGINE_OUTPUT_FD,
  ENGINE_SOCKET,
  layerHint,
  type LayerReport,
  openPlatform,
  type Plan,
  type Platform,
  type SandboxMode,
} from "../sandbox/mod.ts";
import {
  libraryFolder,
  limitedTarget,
  type RunnerFiles,
  type RunnerNeeds,
  visionOf,
} from "./runner_target.ts";

/** The files of an installation, which can change while this process lives. */
export interface InstalledFiles extends RunnerFiles {
  /** Before each spawn: makes sure that they are still this program's. @throws {SecLlamaError} If they cannot be had. */
  check(): Promise<void>;
}

export interface Sandbox {
  readonly files: InstalledFiles;
  readonly mode: SandboxMode;
  readonly platform: Platform;
}

/** The runner's own attack on live listeners, as the gateway counted it. */
interface AttackReport {
  /** Every attack was made, every one was refused, and no listener was reached. */
  readonly held: boolean;
  readonly attempted: number;
  /** What speaks against it, one line each. */
  readonly problems: readonly string[];
}

/**
 * `strict`: all that strict promises was measured. `engine`: all that is promised of an engine of somebody else's, which is less.
 * `weakened`: less than that, as the operator allowed. `off`: no sandbox.
 */
type IsolationLevel = "strict" | "engine" | "weakened" | "off";

export interface Measured {
  /** Of the runner, as this process sees it. */
  readonly pid: number;
  readonly level: IsolationLevel;
  readonly layers: readonly LayerReport[];
  /** Planned layers that are not in force, one line each. */
  readonly problems: readonly string[];
  /** What the plan itself leaves out. */
  readonly warnings: readonly string[];
  readonly attacks: AttackReport | null;
  /** What computes the model, if it is somebody else's engine. */
  readonly engine?: string;
  /** Deno's permissions of the runner, in its own words: they bind JavaScript only. */
  readonly permissions: { readonly [name: string]: string };
}

export interface IsolationReport {
  /** As it was when the runner was given its keys. */
  readonly level: IsolationLevel;
  /** Reads the live process again; the attack is the one of its start. */
  measureNow(): Measured;
}

interface PreparedSpawn {
  readonly start: Confinement["start"];
  /** As the runner sees them. */
  readonly modelPath: string;
  readonly adapterPaths: readonly string[];
  readonly draftPath: string | null;
  readonly vision: BootMessage["vision"];
  readonly foreign: BootMessage["foreign"];
  readonly libDir: string;
  readonly targets: object | null;
  /** What stage 2 leaves open beside its own list. */
  readonly stage2More: BootMessage["stage2More"];
  /** @throws {SecLlamaError} `sandbox-breached` or `sandbox-failed` if strict and something does not hold. */
  prove(childPid: number, ready: ReadyMessage): Promise<void>;
  /** After `prove`. */
  report(): IsolationReport;
  close(): void;
}

/** What the settings ask of the sandbox. */
export function sandboxMode(
  { enableSandbox, strictNetworkIsolation }: Pick<
    Config,
    "enableSandbox" | "strictNetworkIsolation"
  >,
): SandboxMode {
  if (!enableSandbox) return "off";
  return strictNetworkIsolation ? "strict" : "best-effort";
}

/**
 * Probes the machine, while the files are still being checked.
 * @throws {SecLlamaError} `sandbox-unavailable` on an operating system whose sandbox is not there yet; what `files` throws.
 */
export async function openSandbox(
  { files, mode }: { files: InstalledFiles | Promise<InstalledFiles>; mode: SandboxMode },
): Promise<Sandbox> {
  const probing = openPlatform(async () => (await files).launcher);
  const [platform, checked] = await Promise.all([probing, files]);
  return { files: checked, mode, platform };
}

/**
 * Plans one runner and opens the listeners that it will attack.
 * @throws {SecLlamaError} `sandbox-unavailable` if strict and this machine cannot enforce it.
 */
export async function prepareSpawn(
  sandbox: Sandbox,
  modelPath: string,
  o: RunnerNeeds = {},
): Promise<PreparedSpawn> {
  const { platform, files } = sandbox;
  const { gpu = "none", adapterPaths = [] } = o;
  await files.check();
  const confinement = platform.plan(limitedTarget(sandbox, modelPath, o), sandbox.mode);
  const { plan } = confinement;
  const { companion } = o;
  const vision = visionOf(files, o);
  const listeners = sandbox.mode !== "off" ? await openListeners() : null;
  let report: IsolationReport | undefined;
  return {
    start: confinement.start,
    modelPath: plan.pathMap(modelPath),
    adapterPaths: adapterPaths.map((path) => plan.pathMap(path)),
    draftPath: o.draftPath === undefined ? null : plan.pathMap(o.draftPath),
    vision: vision && {
      libraryPath: plan.pathMap(vision.libraryPath),
      projectorPath: plan.pathMap(vision.projectorPath),
    },
    foreign: companion
      ? { kind: companion.kind, socket: ENGINE_SOCKET, outputFd: ENGINE_OUTPUT_FD }
      : null,
    libDir: plan.pathMap(libraryFolder(files, gpu)),
    targets: listeners?.targets ?? null,
    stage2More: confinement.stage2More,
    async prove(childPid, ready) {
      const pid = confinement.findRunner(childPid);
      if (pid === undefined) {
        throw new SecLlamaError(
          "sandbox-failed",
          "failed to apply sandbox: the runner was not found",
          {
            hint:
              "it ended, or /proc is mounted so that this program cannot see it (hidepid): try again",
          },
        );
      }
      const attacks = listeners ? await judgeAttacks(listeners, ready) : null;
      const measureNow = (): Measured => {
        const layers = confinement.measure(pid);
        const problems = sandbox.mode !== "off" ? confinement.judge(layers, ready.lockdown) : [];
        return {
          pid,
          level: levelOf(sandbox.mode, plan, { problems, attacks, companion }),
          layers,
          problems,
          warnings: plan.warnings,
          ...(companion ? { engine: companion.kind } : {}),
          attacks,
          permissions: ready.permissions,
        };
      };
      const { problems, level } = measureNow();
      if (sandbox.mode === "strict") refuseUnlessEnforced(problems, attacks);
      report = { level, measureNow };
    },
    report: () => report!,
    close: () => listeners?.close(),
  };
}

async function judgeAttacks(listeners: Listeners, ready: ReadyMessage): Promise<AttackReport> {
  const results = ready.attacks;
  const problems = await listeners.judge(results);
  return {
    held: problems.length === 0,
    attempted: results.filter(({ outcome }) => outcome !== "not run").length,
    problems,
  };
}

function refuseUnlessEnforced(missing: readonly string[], attacks: AttackReport | null): void {
  if (missing.length > 0) {
    throw new SecLlamaError("sandbox-failed", `failed to apply sandbox: ${missing.join("; ")}`, {
      hint: layerHint(missing),
    });
  }
  if (attacks === null || !attacks.held) {
    throw new SecLlamaError(
      "sandbox-breached",
      `the runner was stopped: ${attacks?.problems.join("; ") ?? "its self-test did not run"}`,
      {
        hint: "no prompt was served; please report this with the output of: secllama doctor --json",
      },
    );
  }
}

function levelOf(
  mode: SandboxMode,
  plan: Plan,
  { problems, attacks, companion }: {
    problems: readonly string[];
    attacks: AttackReport | null;
    companion: Companion | undefined;
  },
): IsolationLevel {
  if (mode === "off") return "off";
  const holds = problems.length === 0 && attacks?.held === true;
  if (mode !== "strict" || !holds || plan.level === "weak") return "weakened";
  return companion ? "engine" : "strict";
}
