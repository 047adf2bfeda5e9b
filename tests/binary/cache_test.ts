/** The folder that a compiled program unpacks to: what it refuses, what it repairs, what it removes. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { compiledProgram } from "../support/binary.ts";
import { emptyHome, IGNORE, onlyFolder, ROOT_ONLY, run, runToEnd } from "./testing.ts";

/** A command that needs the parts and starts nothing. */
const USES_PARTS = ["list", "--json"];

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** At once. */
const STARTS = FULL ? 6 : 2;
const KILLS = FULL ? 6 : 1;
if (!FULL) {
  console.log("skipped: four of six ways to spoil it, and more starts; set SECLLAMA_FULL=1");
}

function sha256(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

function binaryTest(name: string, body: () => Promise<void>, ignore = IGNORE): void {
  Deno.test({ name: `binary cache: ${name}`, ignore, fn: body });
}

binaryTest("unpacked once, to a private folder; used as it is the next time", async () => {
  await using home = await emptyHome("here");
  const first = await run(USES_PARTS, home);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /^unpacking to .*, once\n$/);
  assert.match(first.stdout, /demo:latest/);
  const folder = onlyFolder(home.cache);
  assert.equal(Deno.statSync(home.cache).mode! & 0o777, 0o700);
  assert.equal(Deno.statSync(folder).mode! & 0o777, 0o700);
  const runner = Deno.statSync(join(folder, "secllama-runner"));
  const second = await run(USES_PARTS, home);
  assert.deepEqual([second.code, second.stderr], [0, ""]);
  assert.equal(Deno.statSync(join(folder, "secllama-runner")).ino, runner.ino);
  // The runner is a program of its own, and that one.
  const { parts } = JSON.parse((await run(["version", "--json"], home)).stdout);
  for (const { name, sha256: digest } of parts) {
    if (name !== "secllama-attacker") assert.equal(sha256(join(folder, name)), digest, name);
  }
});

binaryTest("what is not as it was unpacked is refused and made again", async () => {
  await using home = await emptyHome("here");
  assert.equal((await run(USES_PARTS, home)).code, 0);
  const folder = onlyFolder(home.cache);
  const runner = join(folder, "secllama-runner");
  const good = sha256(runner);
  const damage: [string, () => void][] = [
    ["one byte is another, time and size as before", () => {
      const { mtime, atime } = Deno.statSync(runner);
      Deno.chmodSync(runner, 0o755);
      using file = Deno.openSync(runner, { read: true, write: true });
      file.seekSync(50_000_000, Deno.SeekMode.Start);
      const byte = new Uint8Array(1);
      file.readSync(byte);
      file.seekSync(50_000_000, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array([byte[0]! ^ 1]));
      Deno.chmodSync(runner, 0o555);
      Deno.utimeSync(runner, atime!, mtime!);
    }],
    ["half written", () => {
      Deno.chmodSync(runner, 0o755);
      Deno.truncateSync(runner, 54_000_000);
      Deno.chmodSync(runner, 0o555);
    }],
    ["gone", () => Deno.removeSync(runner)],
    ["a link to another program", () => {
      Deno.removeSync(runner);
      Deno.symlinkSync("/bin/true", runner);
    }],
    ["writable by others", () => Deno.chmodSync(runner, 0o777)],
    // ggml opens whatever libggml-* it finds there.
    ["one library too many", () => {
      Deno.copyFileSync(join(folder, "lib/libggml-base.so"), join(folder, "lib/libggml-evil.so"));
    }],
  ];
  // Each costs an unpacking: a plain run takes what is hardest to see.
  const hardest = /^(one byte|one library)/;
  for (const [what, spoil] of damage.filter(([what]) => FULL || hardest.test(what))) {
    spoil();
    const again = await run(USES_PARTS, home);
    assert.equal(again.code, 0, `${what}: ${again.stderr}`);
    assert.match(again.stderr, /are not those of this program: unpacking them again/, what);
    assert.equal(sha256(runner), good, what);
  }
  assert.equal((await run(USES_PARTS, home)).stderr, "");
});

binaryTest("several starts at once unpack once and do no harm", async () => {
  await using home = await emptyHome("here");
  const all = await Promise.all(Array.from({ length: STARTS }, () => run(USES_PARTS, home)));
  assert.deepEqual(all.map((r) => r.code), all.map(() => 0), all.map((r) => r.stderr).join());
  assert.equal(all.filter((r) => r.stderr.includes("once")).length, 1);
  onlyFolder(home.cache);
});

binaryTest("a start that is killed while it unpacks leaves nothing that is believed", async () => {
  await using home = await emptyHome("here");
  let killed = 0;
  for (let i = 0; i < KILLS; i++) {
    const child = new Deno.Command(compiledProgram(), {
      args: USES_PARTS,
      env: home.env,
      clearEnv: true,
      stdout: "null",
      stderr: "null",
    }).spawn();
    const half = () => {
      try {
        return [...Deno.readDirSync(home.cache)].some((e) => e.name.startsWith(".new-"));
      } catch {
        return false;
      }
    };
    let ended = false;
    void child.status.then(() => ended = true);
    while (!half() && !ended) await new Promise((r) => setTimeout(r, 1));
    await new Promise((r) => setTimeout(r, i * 90 / KILLS));
    if (!ended) {
      child.kill("SIGKILL");
      if ((await child.status).signal === "SIGKILL") killed++;
    }
    await child.status;
  }
  assert.ok(killed > 0, "none was caught in the act");
  const after = await run(USES_PARTS, home);
  assert.equal(after.code, 0, after.stderr);
  onlyFolder(home.cache);
  assert.deepEqual(
    [...Deno.readDirSync(home.cache)].filter((e) => e.name.startsWith(".")).map((e) => e.name),
    [],
  );
});

binaryTest("other versions' parts go, unless a process uses them", async () => {
  await using home = await emptyHome("here");
  assert.equal((await run(USES_PARTS, home)).code, 0);
  const own = onlyFolder(home.cache);
  const old = join(home.cache, "1".repeat(64));
  const used = join(home.cache, "2".repeat(64));
  const notOurs = join(home.cache, "notes");
  for (const folder of [old, used, notOurs]) {
    Deno.mkdirSync(folder);
    Deno.writeTextFileSync(join(folder, "in-use"), "");
  }
  using lock = Deno.openSync(join(used, "in-use"));
  lock.lockSync(false);
  assert.equal((await run(USES_PARTS, home)).code, 0);
  assert.deepEqual(
    [...Deno.readDirSync(home.cache)].filter((e) => e.isDirectory).map((e) => e.name).sort(),
    [own, used, notOurs].map((path) => path.slice(home.cache.length + 1)).sort(),
  );
  lock.unlockSync();
  assert.equal((await run(USES_PARTS, home)).code, 0);
  assert.throws(() => Deno.statSync(used), Deno.errors.NotFound);
});

binaryTest("a folder that others may write to is refused, also one above it", async () => {
  await using home = await emptyHome("here");
  assert.equal((await run(USES_PARTS, home)).code, 0);
  const folder = onlyFolder(home.cache);
  for (const path of [home.cache, folder, join(home.home, ".cache")]) {
    const before = Deno.statSync(path).mode! & 0o777;
    for (const mode of FULL ? [0o770, 0o707] : [0o707]) {
      Deno.chmodSync(path, mode);
      const isParent = path.endsWith(".cache");
      const refused = await run(USES_PARTS, home);
      // A group of one's own (same number as the user) is oneself; as root so is group 0.
      if (isParent && mode === 0o770) assert.equal(refused.code, 0, refused.stderr);
      else {
        assert.equal(refused.code, 9, `${path} ${mode.toString(8)}: ${refused.stderr}`);
        assert.match(refused.stderr, /^error: .*may be written to by others\nhint: run: chmod /);
      }
    }
    Deno.chmodSync(path, before);
  }
  Deno.removeSync(home.cache, { recursive: true });
  Deno.mkdirSync(join(home.home, "elsewhere"));
  Deno.symlinkSync(join(home.home, "elsewhere"), home.cache);
  const link = await run(USES_PARTS, home);
  assert.equal(link.code, 9);
  assert.match(link.stderr, /symbolic link/);
});

binaryTest("a folder of another user is refused", async () => {
  await using home = await emptyHome("here");
  Deno.mkdirSync(home.cache, { recursive: true });
  Deno.chownSync(home.cache, 12345, 12345);
  const own = await run(USES_PARTS, home);
  assert.equal(own.code, 9, own.stderr);
  assert.match(own.stderr, /belongs to another user/);
  // As with sudo, which leaves HOME as it was: the user could put a runner there for root.
  Deno.chownSync(home.cache, 0, 0);
  Deno.chownSync(home.home, 12345, 12345);
  const above = await run(USES_PARTS, home);
  assert.equal(above.code, 9, above.stderr);
  assert.match(above.stderr, /belongs to another user\nhint: set XDG_CACHE_HOME/);
}, ROOT_ONLY);

/** Runs it with a tmpfs of these options on the cache's place, in a mount namespace of its own. */
async function onTmpfs(options: string, home: { home: string; env: Record<string, string> }) {
  const dir = join(home.home, "disk");
  await Deno.mkdir(dir, { recursive: true });
  const script = `mount -t tmpfs -o mode=0700,${options} none "$0" && { "$1" list --json; ` +
    `code=$?; echo "left: $(ls -A "$0"/secllama 2>&1 | tr '\\n' ' ')" >&2; exit $code; }`;
  return await runToEnd(
    ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, dir, compiledProgram()],
    { env: { ...home.env, XDG_CACHE_HOME: dir } },
  );
}

binaryTest(
  "a disk that is full, read-only or noexec: a clear error, and nothing half there",
  async () => {
    await using home = await emptyHome("here");
    if (FULL) {
      const roomy = await onTmpfs("size=300m", home);
      assert.equal(roomy.code, 0, roomy.stderr);
      assert.match(roomy.stderr, /left: [0-9a-f]{64} lock/);
    }
    for (
      const [options, message, left] of [
        [
          "size=40m",
          /the disk is full \(\d+ MB needed, \d+ MB free\)\nhint: free some space/,
          "lock",
        ],
        // Enough blocks, but no more files: it fails in the midst.
        ["size=300m,nr_inodes=12", /cannot unpack to .*: the disk is full\nhint: free/, "lock"],
        ["ro", /read-only\nhint: set XDG_CACHE_HOME to a folder of your own/, null],
        ["size=300m,noexec", /mounted noexec\nhint: set XDG_CACHE_HOME/, ""],
      ] as const
    ) {
      const refused = await onTmpfs(options, home);
      assert.equal(refused.code, 5, `${options}: ${refused.stderr}`);
      assert.match(refused.stderr, message, options);
      if (left !== null) assert.match(refused.stderr, new RegExp(`left: ${left} ?\n`), options);
    }
  },
  ROOT_ONLY,
);

binaryTest("without a home it says what to do", async () => {
  const homeless = await runToEnd([compiledProgram(), ...USES_PARTS], {
    env: { PATH: "/usr/bin", SECLLAMA_DATA_DIR: "/nonexistent" },
  });
  assert.equal(homeless.code, 5);
  assert.match(homeless.stderr, /HOME is not set\nhint: set XDG_CACHE_HOME/);
});
