/** Root's runners are users of their own: what the kernel counts by user, one cannot fill for another, nor talk by. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { linux } from "../../src/linux/libc.ts";
import { makeMeetingFile, tryChannels } from "../../src/escape/run/channel_run.ts";
import { ATTACKER_MEMORY } from "../../src/escape/run/all_attacks.ts";
import { canBecome } from "../../src/linux/id_maps.ts";
import { startOrdinary } from "../../src/escape/run/ordinary.ts";
import { probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";
import { findRunnerPid } from "../../src/sandbox/linux/measure.ts";
import { makeLinuxPlan } from "../../src/sandbox/linux/plan.ts";
import { BASE_POLICY } from "../../src/sandbox/linux/policy.ts";
import { startRunner } from "../../src/sandbox/linux/spawn.ts";
import { RUNNER_USERS, runnerUser } from "../../src/sandbox/linux/users.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import { makeStage } from "./stage.ts";

const SETPRIV = "/usr/bin/setpriv";

/** Why real processes cannot become those users here. */
function whyNot(): string | undefined {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) {
    return "only root's runners become other users";
  }
  const users = Array.from({ length: RUNNER_USERS }, (_, i) => BASE_POLICY.uid + i);
  if (!users.every(canBecome)) return "this user namespace does not know all of a runner's users";
  return existsSync(SETPRIV) ? undefined : `there is no ${SETPRIV}`;
}

const why = whyNot();
if (why !== undefined) console.log(`SKIP users, with processes: ${why}`);
const ignore = why !== undefined;

const draw = (count: number, ...what: Parameters<typeof runnerUser>) =>
  Array.from({ length: count }, () => runnerUser(...what));

Deno.test("users: each runner's is its own, and nobody's who has a process", () => {
  const [busy, ESRCH] = [new Set<number>(), 3];
  const some = {
    call: (_: string, ...args: unknown[]) => busy.has(args[1] as number) ? 0 : -ESRCH,
  };
  const mapped = () => true;
  const all = new Set(draw(RUNNER_USERS, some, mapped));
  assert.equal(all.size, RUNNER_USERS);
  // Of what is left, none twice before each came once.
  for (const id of [...all].slice(0, RUNNER_USERS / 2)) busy.add(id);
  const left = draw(RUNNER_USERS / 2, some, mapped);
  assert.deepEqual(new Set(left), new Set([...all].slice(RUNNER_USERS / 2)));
  for (const id of all) busy.add(id);
  const shared = draw(RUNNER_USERS, some, mapped);
  assert.deepEqual(new Set(shared), all, "one that is shared, rather than none; each in turn");
  assert.deepEqual(draw(2, some, () => false), [BASE_POLICY.uid, BASE_POLICY.uid]);
});

Deno.test({
  name: "users: the kernel says who has a process",
  ignore,
  async fn() {
    const taken = BASE_POLICY.uid + 7;
    const child = new Deno.Command(SETPRIV, {
      args: [`--reuid=${taken}`, "--clear-groups", "--", "/bin/sh", "-c", "echo here; read _"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    try {
      await reader.read();
      assert.ok(!draw(2 * RUNNER_USERS, linux()).includes(taken));
    } finally {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    }
  },
});

Deno.test({
  name: "users: two runners of one user talk by its count of threads; two of their own do not",
  ignore,
  async fn() {
    const stage = await makeStage({});
    try {
      const meeting = `${stage.folder}/meeting.bin`;
      makeMeetingFile(meeting);
      const caps = await probeCapabilities();
      const files = { ...stage, runner: stage.attacker };
      const target = {
        ...runnerTarget(files, stage.model, { adapterPaths: [meeting] }),
        ...ATTACKER_MEMORY,
      };
      const planFor = (user: number) => makeLinuxPlan(target, caps, "strict", user);
      const judge = async (user: () => number) => {
        const plan = planFor(user());
        const rows = await tryChannels({
          lockdown: true,
          only: ["threads of the user"],
          file: { host: meeting, inside: plan.pathMap(meeting) },
          async runner(options) {
            const child = await startRunner(planFor(user()), options);
            return { child, pid: () => findRunnerPid(child.pid, plan.forks) ?? child.pid };
          },
          ordinary(uid, options) {
            const argv = [stage.deno, "run", "-A", "--no-lock", stage.attacker];
            const env = { DENO_DIR: "/dev/null/deno" };
            const child = startOrdinary({ argv, env }, uid, options);
            return Promise.resolve({ child, pid: () => child.pid });
          },
          otherUsers: true,
        });
        return rows.get("threads of the user, another runner")!;
      };
      const shared = await judge(() => BASE_POLICY.uid);
      assert.equal(shared.verdict, "out", shared.detail);
      const own = await judge(() => runnerUser(linux()));
      assert.equal(own.verdict, "blocked", own.detail);
    } finally {
      await stage.remove();
    }
  },
});
