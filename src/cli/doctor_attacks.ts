/** The doctor's table of attacks: each made from the runner's place, what came of it, and which layer it met. */
import { attackAll, ATTACKER_MEMORY, type AttackRow } from "../escape/run/all_attacks.ts";
import { whyOut } from "../escape/attacks/bombs.ts";
import { CHANNEL_ATTACKS } from "../escape/channels/list.ts";
import { makeMeetingFile, type Parties, tryChannels } from "../escape/run/channel_run.ts";
import type { Judgement, Verdict } from "../escape/run/judge.ts";
import { openToAll, startOrdinary } from "../escape/run/ordinary.ts";
import { stoppedBy } from "../escape/run/stopped_by.ts";
import { toSecLlamaError } from "../errors.ts";
import { openSandbox } from "../supervisor/isolation.ts";
import { runnerTarget } from "../supervisor/runner_target.ts";
import type { Check } from "./doctor.ts";
import type { Installation } from "../app/installation.ts";
import type { Result, Switches } from "../app/findings.ts";
import type { Settings } from "../config/settings.ts";
import { tempFolder } from "../temp_folder.ts";

const NO_ATTACKER = "the attacker was never in its place";

const RESULT_OF: { readonly [verdict in Verdict]: Result } = {
  out: "fails",
  blocked: "holds",
  killed: "holds",
  "not run": "not run",
};

/** Where a side of the channels does not start, none of them was tried; the other attacks were. */
async function channelsOrReason(parties: Parties): Promise<Map<string, Judgement>> {
  try {
    return await tryChannels(parties);
  } catch (error) {
    const detail = error instanceof Error ? error.message.split("\n")[0]! : "they did not start";
    return new Map(
      CHANNEL_ATTACKS.map((name) => [name, { verdict: "not run", detail, step: "", errno: "" }]),
    );
  }
}

/** Every attack of the list, with the attacker in the runner's place and a model that answers before and after. */
export async function attackChecks(
  installation: Installation,
  switches: Switches,
  { config }: Settings,
  onMade: (made: number, all: number) => void,
): Promise<Check[]> {
  const note = (result: Check["result"], observed: string): Check[] => [
    { name: "attacks", result, observed },
  ];
  if (!switches.sandbox) return note("not run", "not made: the sandbox is off");
  if (Deno.build.os !== "linux") return note("note", "the whole list is made on Linux only");
  const files = await installation.runnerFiles(config);
  const demo = await installation.demoModel();
  if (demo === undefined) return note("not run", "not made: there is no demo model");
  using folder = await tempFolder({ prefix: "secllama-doctor-" });
  try {
    await Deno.chmod(folder.path, 0o755);
    const meeting = `${folder.path}/meeting.bin`;
    makeMeetingFile(meeting);
    using attacker = await installation.attacker(files);
    const mode = switches.strict ? "strict" : "best-effort";
    const sandbox = await openSandbox({ files: { ...files, runner: attacker.path }, mode });
    // One file more, as an adapter would be: what a runner and others could meet over.
    const seen = { adapterPaths: [meeting] };
    const target = { ...runnerTarget(sandbox.files, demo, seen), ...ATTACKER_MEMORY };
    const { plan, start } = sandbox.platform.plan(target, mode);
    const outside = sandbox.platform.plan(target, "off").plan;
    const table = await attackAll(start, {
      libDir: plan.pathMap(files.libDir),
      modelPath: plan.pathMap(demo),
    }, onMade);
    const channels = await channelsOrReason({
      lockdown: true,
      file: { host: meeting, inside: plan.pathMap(meeting) },
      async runner(options) {
        // A plan each, as each runner has.
        const runner = sandbox.platform.plan(target, mode);
        const child = await runner.start(options);
        return { child, pid: () => runner.findRunner(child.pid) ?? child.pid };
      },
      ordinary(uid, options) {
        const child = startOrdinary(outside, uid, options);
        return Promise.resolve({ child, pid: () => child.pid });
      },
      otherUsers: Deno.uid() === 0 && [target.executable, attacker.path].every(openToAll),
    });
    const rows = [
      ...table.rows,
      ...[...channels].map(([attack, judgement]) => ({
        attack,
        ...judgement,
      })),
    ];
    return [
      ...rows.map((row) => attackCheck(row, whyOut(row.attack, plan.layers))),
      {
        name: "files of the host",
        result: table.changed.length > 0 ? "fails" : table.started ? "holds" : "not run",
        observed: table.changed.length > 0
          ? `changed: ${table.changed.join(", ")}`
          : table.started
          ? "none changed"
          : NO_ATTACKER,
      },
      {
        name: "inference between the attacks",
        result: table.inferred ? "holds" : table.started ? "fails" : "not run",
        observed: table.inferred
          ? "the model wrote before and after"
          : table.started
          ? "the model wrote nothing"
          : NO_ATTACKER,
      },
    ];
  } catch (error) {
    // No attacker came to its place: that says nothing of what it would have met there.
    const { message, hint } = toSecLlamaError(error);
    return [{
      name: "attacks",
      result: "not run",
      observed: `not made: ${message}`,
      ...(hint ? { hint } : {}),
    }];
  }
}

/** @param missing The layer that is not here, if it is one that strict mode does not require. */
function attackCheck(row: AttackRow, missing: string | undefined): Check {
  const out = row.verdict === "out";
  const detail = row.detail.replace(/\/\S*secllama-attack-[0-9a-f]+/, "…"); // the folder of this one run
  const excused = out && missing !== undefined;
  return {
    name: `attack: ${row.attack}`,
    // What this machine does not have, nobody can go out by.
    result: excused || row.absent ? "note" : RESULT_OF[row.verdict],
    ...(excused ? { limit: true } : {}),
    expected: "refused",
    observed: out ? `GOT OUT, ${detail}` : detail || row.verdict,
    stoppedBy: excused ? `nothing: ${missing}` : stoppedBy(row.attack, row),
  };
}
