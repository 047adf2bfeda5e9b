/** The files of package managers and services, compared with golden ones and read by what Debian has for them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { TARGETS } from "../../scripts/compile_targets.ts";
import { artefactName, type Release } from "../../scripts/release/artefacts.ts";
import { packageFiles } from "../../scripts/release/packages.ts";
import { ROOT, runToEnd } from "./support.ts";

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
    const value = await exposure([], join(packaging, "systemd/secllama.service"));
    assert.ok(value > 0 && value <= 2.5, `exposure ${value}`);
    const bare = join(folder, "bare.service");
    await Deno.writeTextFile(bare, "[Service]\nExecStart=/bin/true\n");
    assert.ok(await exposure([], bare) > 9, "the measure tells a bare unit");
    const user = await exposure(["--user"], join(packaging, "systemd/user/secllama.service"));
    assert.ok(user > 0 && user <= USER_EXPOSURE, `exposure ${user}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
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
