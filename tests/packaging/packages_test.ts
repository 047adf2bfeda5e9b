/** The files of package managers and services, compared with golden ones and read by what Debian has for them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { TARGETS } from "../../scripts/compile_targets.ts";
import { artefactName, type Release } from "../../scripts/release/artefacts.ts";
import { packageFiles } from "../../scripts/release/packages.ts";
import { ROOT, runToEnd } from "./testing.ts";

const GOLDEN = join(ROOT, "tests/golden/packaging");
const PATH = "/usr/bin:/bin";

const RELEASE: Release = {
  version: "1.2.3",
  url: "https://releases.example/1.2.3",
  publicKey: "RWQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  artefacts: TARGETS.map((target, i) => ({
    target,
    file: artefactName("1.2.3", target),
    sizeBytes: 1,
    sha256: String(i).repeat(64),
  })),
};

Deno.test("packages: as in the golden files (SECLLAMA_GOLDEN=write writes them)", async () => {
  const files = await packageFiles(RELEASE, ROOT);
  for (const [name, text] of files) {
    const path = join(GOLDEN, name);
    if (Deno.env.get("SECLLAMA_GOLDEN") === "write") await Deno.writeTextFile(path, text);
    assert.equal(text, await Deno.readTextFile(path), name);
  }
  assert.deepEqual(
    [...Deno.readDirSync(GOLDEN)].map((e) => e.name).sort(),
    [...files.keys()].sort(),
  );
});

Deno.test("packages: a release without a system's executable has no package for it", async () => {
  const artefacts = RELEASE.artefacts.filter((a) => a.target.platform === "linux-aarch64");
  const files = await packageFiles({ ...RELEASE, artefacts }, ROOT);
  assert.deepEqual([...files.keys()], ["install.sh"]);
});

Deno.test("packages: Ruby reads the formula (Homebrew was never run)", async () => {
  const env = { PATH };
  const path = join(GOLDEN, "secllama.rb");
  const { code, stdout, stderr } = await runToEnd(["/usr/bin/ruby", "-wc", path], { env });
  assert.deepEqual([code, stdout, stderr], [0, "Syntax OK\n", ""]);
});

Deno.test("service units: systemd reads them, and their exposure is what docs/install.md says", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-units-" });
  const env = { PATH, XDG_RUNTIME_DIR: folder, LANG: "C.UTF-8" };
  const exposure = async (scope: string[], unit: string) => {
    const { stdout, stderr } = await runToEnd(
      ["/usr/bin/systemd-analyze", "security", ...scope, "--offline=true", "--no-pager", unit],
      { env },
    );
    assert.equal(stderr, "", unit);
    return Number(/Overall exposure level for .*: ([\d.]+)/.exec(stdout)?.[1]);
  };
  try {
    const packaging = join(ROOT, "packaging");
    for (const [unit, most] of [["secllama", 2.0], ["secllama-listen", 0.5]] as const) {
      const value = await exposure([], join(packaging, `systemd/${unit}.service`));
      assert.ok(value > 0 && value <= most, `exposure of ${unit} ${value}`);
    }
    const bare = join(folder, "bare.service");
    await Deno.writeTextFile(bare, "[Service]\nExecStart=/bin/true\n");
    assert.ok(await exposure([], bare) > 9, "the measure tells a bare unit");
    for (const [unit, most] of [["secllama", USER_EXPOSURE], ["secllama-proxy", 1.6]] as const) {
      const value = await exposure(["--user"], join(packaging, `systemd/user/${unit}.service`));
      assert.ok(value > 0 && value <= most, `exposure of the user's ${unit} ${value}`);
    }
    const units = ["secllama.service", "secllama-listen.service", "secllama-listen.socket"];
    const { stderr } = await runToEnd(
      ["/usr/bin/systemd-analyze", "verify", ...units.map((u) => join(packaging, "systemd", u))],
      { env },
    );
    // Neither is installed where the tests run.
    const said = stderr.split("\n").filter((line) =>
      line !== "" && !/secllama is not executable|'man secllama\(1\)'/.test(line)
    );
    assert.deepEqual(said, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The system calls of a filter line, its groups expanded by systemd's own tool. */
async function systemCalls(words: readonly string[]): Promise<Set<string>> {
  const out = new Set<string>();
  for (const word of words) {
    if (!word.startsWith("@")) {
      out.add(word);
      continue;
    }
    const { code, stdout, stderr } = await runToEnd(
      ["/usr/bin/systemd-analyze", "syscall-filter", "--no-pager", word],
      { env: { PATH } },
    );
    assert.equal(code, 0, stderr);
    const lines = stdout.split("\n").slice(1).map((line) => line.trim());
    const inner = lines.filter((line) => line !== "" && !line.startsWith("#"));
    for (const call of await systemCalls(inner)) out.add(call);
  }
  return out;
}

Deno.test("service units: the filter lets every call of the sandbox's launcher pass", async () => {
  const calls = new Set(["unshare", "clone", "mount"]);
  const sources = join(ROOT, "src/sandbox/linux");
  for (const { name } of Deno.readDirSync(sources)) {
    const text = await Deno.readTextFile(join(sources, name));
    for (const [, call] of text.matchAll(/call: "([a-z0-9_]+)"/g)) calls.add(call!);
  }
  assert.ok(calls.has("sethostname") && calls.has("pivot_root"), [...calls].join(" "));
  for (const path of ["secllama.service", "user/secllama.service"]) {
    const unit = await Deno.readTextFile(join(ROOT, "packaging/systemd", path));
    const lines = [...unit.matchAll(/^SystemCallFilter=(.*)$/gm)].map((match) => match[1]!);
    const pass = await systemCalls(lines.filter((l) => !l.startsWith("~")).join(" ").split(" "));
    const taken = lines.filter((l) => l.startsWith("~")).map((l) => l.slice(1)).join(" ");
    for (const call of await systemCalls(taken.split(" "))) pass.delete(call);
    assert.ok(!pass.has("reboot"));
    for (const call of calls) assert.ok(pass.has(call), `${path} forbids ${call}`);
  }
});

/** Offline the tool takes a user's unit for one of root, which costs half a point. */
const USER_EXPOSURE = 3.0;

Deno.test("launchd's property list: Python's parser reads it (launchd was never run)", async () => {
  const path = join(ROOT, "packaging/launchd/secllama.plist");
  const program =
    "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
  const { code, stdout, stderr } = await runToEnd(["/usr/bin/python3", "-c", program, path], {
    env: { PATH },
  });
  assert.equal(code, 0, stderr);
  const list = JSON.parse(stdout);
  assert.deepEqual(list.ProgramArguments, ["/usr/local/bin/secllama", "serve"]);
  assert.equal(list.RunAtLoad, true);
  assert.equal(list.Umask, 0o077);
});
