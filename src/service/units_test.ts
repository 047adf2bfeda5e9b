import assert from "node:assert/strict";
import { join } from "node:path";
import type { RunProgram } from "../keys/stores/program.ts";
import { Launchd } from "./launchd.ts";
import { isOurs, launchAgents, systemUnits, userUnits } from "./units.ts";

Deno.test("units: the program's path is one word, whatever is in it", () => {
  for (
    const [path, word] of [
      ["/usr/local/bin/secllama", "/usr/local/bin/secllama"],
      ["/opt/my apps/secllama", '"/opt/my apps/secllama"'],
      ['/opt/a"b\\c/s', '"/opt/a\\"b\\\\c/s"'],
      ["/opt/100%/$x/s", '"/opt/100%%/$$x/s"'],
    ] as const
  ) {
    const lines = systemUnits(path)[0]!.text.split("\n");
    assert.ok(lines.includes(`ExecStart=${word} serve --no-proxy`), path);
    assert.ok(userUnits(path, { proxy: false })[0]!.text.includes(`\nExecStart=${word} serve\n`));
    assert.ok(userUnits(path, { proxy: true })[0]!.text.includes(`\nExecStart=${word} proxy\n`));
  }
  assert.ok(launchAgents("/a&b/<c>")[0]!.text.includes("<string>/a&amp;b/&lt;c></string>"));
});

Deno.test("units: a path that is not one line, or not absolute, is refused", () => {
  for (const path of ["secllama", "", "/a\nExecStart=/bin/sh", "/a\0b"]) {
    assert.throws(() => systemUnits(path), { code: "usage", field: "--program" });
  }
});

Deno.test("units: each file says whose it is, and one from the package folder is not ours", async () => {
  const files = [
    ...systemUnits("/s"),
    ...userUnits("/s", { proxy: true }),
    ...userUnits("/s", { proxy: false }),
    ...launchAgents("/s"),
  ];
  for (const { name, text } of files) assert.ok(isOurs(text), name);
  const shipped = new URL("../../packaging/systemd/secllama.service", import.meta.url);
  assert.equal(isOurs(await Deno.readTextFile(shipped)), false);
});

/** launchctl as its man page has it: a fake, since no macOS runs here. */
function fakeLaunchctl(): { run: RunProgram; calls: string[] } {
  const calls: string[] = [];
  let loaded = false;
  const run: RunProgram = (program, args) => {
    calls.push([program, ...args].join(" "));
    const was = loaded;
    if (args[0] === "bootstrap") loaded = true;
    if (args[0] === "bootout") loaded = false;
    const fails = args[0] === "bootout" && !was || args[0] === "print" && !loaded;
    const text = args[0] === "print" && loaded
      ? "gui/501/secllama = {\n\tstate = running\n\tpid = 77\n}\n"
      : "";
    return Promise.resolve({
      code: fails ? 113 : 0,
      timedOut: false,
      stdout: new TextEncoder().encode(text),
      stderr: fails ? "Could not find service\n" : "",
    });
  };
  return { run, calls };
}

Deno.test("launchd (a fake launchctl): installed, seen, installed again, taken away", async () => {
  const home = await Deno.makeTempDir({ prefix: "secllama-launchd-" });
  const { run, calls } = fakeLaunchctl();
  const launchd = new Launchd({ env: { HOME: home }, run, uid: 501 });
  const file = join(home, "Library/LaunchAgents/secllama.plist");
  const options = { program: "/Applications/secllama", proxy: false, start: true };
  try {
    assert.equal((await launchd.status())[0]!.installed, false);
    await launchd.install(options);
    assert.ok(isOurs(await Deno.readTextFile(file)));
    assert.ok(calls.includes(`/bin/launchctl bootstrap gui/501 ${file}`));
    const [state] = await launchd.status();
    assert.deepEqual([state!.active, state!.pid, state!.enabled], [true, 77, true]);
    await launchd.install(options);
    assert.equal((await launchd.uninstall()).done.length, 1);
    assert.equal((await launchd.status())[0]!.installed, false);
    await Deno.writeTextFile(file, "somebody else's");
    await assert.rejects(launchd.install(options), { code: "key-refused" });
    assert.match((await launchd.uninstall()).done[0]!, /left alone/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
