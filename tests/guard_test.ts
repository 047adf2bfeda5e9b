/** scripts/test/guard.ts: what `task test` starts, to build or to test, ends with whoever started it, however that ends. */
import assert from "node:assert/strict";
import { settled, until } from "./support/patience.ts";
import { notOn } from "./support/systems.ts";

const GUARD = new URL("../scripts/test/guard.ts", import.meta.url).href;
const WORK = JSON.stringify(["/bin/sh", "-c", "sleep 86400 & echo $!; wait"]);
/** Starts the work, passes on its first line, and stays. */
const stays = (start: string) =>
  `${start} const { value } = await child.stdout.getReader().read();
  console.log(new TextDecoder().decode(value)); await new Promise((r) => setTimeout(r, 86400_000));`;
const HOLDERS = {
  guarded: stays(`import { spawnGuarded } from "${GUARD}"; const child = spawnGuarded(${WORK});`),
  unguarded: stays(`const [program, ...args] = ${WORK};
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped" }).spawn();`),
};

async function isThere(pid: number): Promise<boolean> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "State:\tX");
  return !/^State:\t[ZX]/m.test(status);
}

/** Kills whoever started the work. @returns The work's own child, which is there still, or not yet gone. */
async function killHolder(code: string): Promise<number> {
  const holder = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-config",
      "--no-lock",
      `data:text/javascript,${encodeURIComponent(code)}`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = holder.stdout.getReader();
  const { value } = await settled(reader.read(), "the work's first line");
  const pid = Number(new TextDecoder().decode(value));
  assert.ok(pid > 0 && await isThere(pid), "it never ran");
  holder.kill("SIGKILL");
  await holder.status;
  await reader.cancel();
  return pid;
}

Deno.test({
  name: "guard: what was started so ends when its starter is killed; without it, it goes on",
  ignore: notOn("linux"),
  async fn() {
    const left = await killHolder(HOLDERS.unguarded);
    assert.ok(await isThere(left), "it ended all the same: nothing would be shown");
    Deno.kill(left, "SIGKILL");
    const guarded = await killHolder(HOLDERS.guarded);
    await until(async () => !await isThere(guarded), "the guarded one has ended");
  },
});
