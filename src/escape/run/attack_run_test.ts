/** What an attack run leaves of itself when its program is ended at any moment. */
import assert from "node:assert/strict";
import { until } from "../../../tests/support/patience.ts";
import { notOn } from "../../../tests/support/systems.ts";

Deno.test({
  name: "attack run: the process that is attacked ends with the program that made it",
  ignore: notOn("linux"),
  async fn() {
    const url = new URL("./attack_run.ts", import.meta.url).href;
    const text = `
      const { AttackRun } = await import(${JSON.stringify(url)});
      const run = await AttackRun.open();
      console.log(JSON.stringify([run.field.victimPid, run.field.folder]));
      setInterval(() => {}, 1000);
    `;
    const program = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", text],
      stdout: "piped",
    }).spawn();
    const reader = program.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let said = "";
    while (!said.includes("\n")) {
      const { value, done } = await reader.read();
      assert.ok(!done, "the program ended before it said anything");
      said += value;
    }
    const [pid, folder] = JSON.parse(said);
    try {
      const there = () => Deno.lstat(`/proc/${pid}`).then(() => true, () => false);
      assert.ok(await there());
      program.kill("SIGKILL");
      await program.status;
      await until(async () => !await there(), "the process ended");
    } finally {
      await reader.cancel();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
