/** The audit log on a machine that fails: processes that are killed, disks that are full, folders that cannot be written. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { toldIn, verdictOf, writer } from "./writer.ts";

const KILLS = Deno.env.get("SECLLAMA_FULL") ? 1_000 : 6;

Deno.test(`audit: killed at ${KILLS} points, no line that was told of is lost, and the log goes on`, async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    let last = -1;
    for (let kill = 0; kill < KILLS; kill++) {
      const child = writer(folder, 10_000).spawn();
      const wanted = 1 + (kill * 7) % 40;
      let text = "";
      for await (const chunk of child.stdout) {
        text += new TextDecoder().decode(chunk);
        if (text.split("\n").length - 1 < wanted) continue;
        try {
          child.kill("SIGKILL");
        } catch { /* it ended */ }
      }
      await child.status;
      const told = toldIn(text.split("\n"));
      assert.ok(told.length >= wanted, text.slice(-200));
      assert.ok(told[0]! > last, "a number was given twice");
      last = told.at(-1)!;
      const { problems, lines } = await verdictOf(folder);
      assert.deepEqual(problems, []);
      assert.ok(lines > last, `${lines} lines, line ${last} was told of`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const canMount = Deno.build.os === "linux" && Deno.uid() === 0;
if (!canMount) console.log("skipped: full and read-only disks: needs root on Linux");

/** Runs what follows in a mount namespace of its own, where `mount` made FOLDER what it is to be; what is left is copied to KEEP. */
function inNamespace(mount: string, folder: string, keep: string): string[] {
  const script = `mnt=$1; keep=$2; shift 2; ${mount} || exit 99; "$@"; cp -a "$mnt/." "$keep/"`;
  const unshare = ["/usr/bin/unshare", "--mount", "--propagation", "private", "--"];
  return [...unshare, "/bin/sh", "-c", script, "sh", folder, keep];
}

async function withDisk(body: (folder: string, keep: string) => Promise<void>): Promise<void> {
  const base = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const [folder, keep] = [join(base, "disk"), join(base, "keep")];
  try {
    for (const path of [folder, keep]) await Deno.mkdir(path, { mode: 0o700 });
    await body(folder, keep);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

async function said(command: Deno.Command): Promise<string[]> {
  const { code, stdout } = await command.output();
  assert.notEqual(code, 99, "the disk could not be made");
  return new TextDecoder().decode(stdout).trim().split("\n");
}

Deno.test({
  name: "audit: a full disk is an error, what was told of is there, and with room it goes on",
  ignore: !canMount,
  fn: () =>
    withDisk(async (folder, keep) => {
      const mount = 'mount -t tmpfs -o size=600k,mode=700 none "$mnt"';
      const lines = await said(
        writer(folder, 100_000, { under: inNamespace(mount, folder, keep) }),
      );
      assert.equal(lines.at(-1), "error audit-failed");
      const told = toldIn(lines);
      assert.ok(told.length > 20, `${told.length} lines`);
      const verdict = await verdictOf(keep);
      assert.deepEqual(verdict.problems, []);
      assert.ok(verdict.lines > told.at(-1)!);
      assert.equal((await said(writer(keep, 5))).at(-1), "done");
      assert.deepEqual((await verdictOf(keep)).problems, []);
    }),
});

Deno.test({
  name: "audit: a folder that cannot be written is an error before anything is done",
  ignore: !canMount,
  fn: () =>
    withDisk(async (folder, keep) => {
      assert.equal((await said(writer(folder, 3))).at(-1), "done");
      const mount = 'mount --bind "$mnt" "$mnt" && mount -o remount,bind,ro "$mnt"';
      const lines = await said(writer(folder, 3, { under: inNamespace(mount, folder, keep) }));
      assert.deepEqual(lines, ["error audit-failed"]);
      assert.deepEqual((await verdictOf(folder)).problems, []);
    }),
});
