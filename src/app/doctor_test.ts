import assert from "node:assert/strict";
import { outputOf } from "./doctor.ts";
import { isOn } from "../../tests/support/systems.ts";

Deno.test({
  name:
    "doctor: a child that only notes that it is to end is ended, and has the environment that it was given",
  ignore: isOn("windows"),
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
    const there = `${folder}/there`;
    const stop = new AbortController();
    // Its own process waits, in a shell that ignores SIGTERM: nothing is left behind.
    const script =
      `trap "" TERM; echo "$SECLLAMA_PROFILE"; mkdir "$1"; while :; do read -r _ < "$2"; done`;
    const fifo = `${folder}/fifo`;
    const made = await new Deno.Command("mkfifo", { args: [fifo] }).output();
    assert.ok(made.success);
    const printing = outputOf(["/bin/sh", "-c", script, "sh", there, fifo], {
      env: { SECLLAMA_PROFILE: "work", UNSET: undefined, PATH: Deno.env.get("PATH") },
      signal: stop.signal,
      graceMs: 20,
    });
    try {
      while (!await Deno.lstat(there).then(() => true, () => false)) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    } finally {
      stop.abort();
    }
    assert.equal(new TextDecoder().decode(await printing), "work\n");
    await Deno.remove(folder, { recursive: true });
  },
});
