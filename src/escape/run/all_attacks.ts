/**
 * The whole attack list in a fresh sandbox, the same that `serve` gives a runner, with the attacker in the runner's place and a
 * model that must still answer before and after. Linux only; makes and removes a folder under the temp folder.
 */
import { ATTACKS } from "../attacks/list.ts";
import { AttackRun, type AttackRunResult, type StartAttacker } from "./attack_run.ts";
import { judge, type Judgement } from "./judge.ts";
import { tempFolder } from "../../temp_folder.ts";

/** Memory bombs are among the attacks: they are to meet a limit, not the machine's end. The group's is below what the bomb takes. */
export const ATTACKER_MEMORY = {
  memory: { privateBytes: 4 * 2 ** 30, groupBytes: 3 * 2 ** 28 },
};

export interface AttackRow extends Judgement {
  readonly attack: string;
}

interface AttackTable {
  readonly rows: readonly AttackRow[];
  /** The attacker of the long list was in its place; without it nothing is known of files and model. */
  readonly started: boolean;
  /** The model wrote text before and after the attacks. */
  readonly inferred: boolean;
  /** Files of the host's that the attacker changed. */
  readonly changed: readonly string[];
}

/**
 * Makes every attack; `start` starts a plan with the attacker as its target. Paths as seen from inside.
 * @param onMade Is told how many have been made, of how many.
 */
export async function attackAll(
  start: StartAttacker,
  model: { readonly libDir: string; readonly modelPath: string },
  onMade: (made: number, all: number) => void = () => {},
): Promise<AttackTable> {
  using parent = await tempFolder({ prefix: "secllama-doctor-" });
  await Deno.chmod(parent.path, 0o755); // the attacker may be another user, and is to be able to try
  const attackRun = await AttackRun.open(parent.path);
  const rows: AttackRow[] = [];
  const changed = new Set<string>();
  const take = (run: AttackRunResult, names: readonly string[]) => {
    for (const attack of names) {
      rows.push({ attack, ...judge(attack, run) });
    }
    for (const file of run.changed) if (!file.startsWith("core")) changed.add(file);
  };
  try {
    const together = ATTACKS.filter((a) => !a.ends).map((a) => a.name);
    let made = 0;
    const first = await attackRun.run(start, {
      attacks: together,
      model,
      lockdown: true,
      onMade: () => onMade(++made, ATTACKS.length),
    });
    take(first, together);
    // Those that end the process get one each.
    for (const { name } of ATTACKS.filter((a) => a.ends)) {
      take(await attackRun.run(start, { attacks: [name], model: null, lockdown: true }), [name]);
      onMade(rows.length, ATTACKS.length);
    }
    return {
      rows,
      started: first.started,
      inferred: first.before !== "" && first.after !== "",
      changed: [...changed],
    };
  } finally {
    await attackRun.close();
  }
}
