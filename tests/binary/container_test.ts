/** The one file as root in a container with Docker's defaults: first answer with two commands, `serve` and `run`. */
import assert from "node:assert/strict";
import { makeBaseSystem } from "../support/base_system.ts";
import { compiledProgram } from "../support/binary.ts";
import {
  DOCKER_CAPABILITIES,
  dockerProfile,
  type Engine,
  inContainer,
  podmanMissing,
} from "../support/container.ts";
import { takeWaits, tellWait } from "../support/journey.ts";
import { ROOT_ONLY } from "./testing.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const noBase = ROOT_ONLY ? "no root, or no test base" : await makeBaseSystem();
if (noBase !== "") console.log(`skipped: containers on a base system: ${noBase}`);
const noPodman = noBase !== "" ? noBase : await podmanMissing();
if (noPodman !== "") console.log(`skipped: the test in podman: ${noPodman}`);

const EVERYTHING = Deno.env.get("SECLLAMA_FULL") === "1";
const FILES = {
  "/opt/secllama": compiledProgram(),
  "/opt/model": `${ROOT}models/demo.gguf`,
  "/opt/script": `${ROOT}tests/binary/container.sh`,
};

const profiles = await Deno.makeTempDir({ prefix: "secllama-profiles-" });
globalThis.addEventListener("unload", () => Deno.removeSync(profiles, { recursive: true }));
const DOCKER = `${profiles}/docker.json`;
const OLD_DOCKER = `${profiles}/old-docker.json`;
if (noPodman === "") {
  await Deno.writeTextFile(DOCKER, await dockerProfile({ landlock: true }));
  await Deno.writeTextFile(OLD_DOCKER, await dockerProfile({ landlock: false }));
}

for (const engine of ["podman", "fake"] satisfies Engine[]) {
  Deno.test({
    name: `binary: as root with Docker's defaults (${engine})`,
    // Where podman runs, the emulation says no more.
    ignore: engine === "podman"
      ? noPodman !== ""
      : noBase !== "" || (noPodman === "" && !EVERYTHING),
    async fn() {
      const { stdout, stderr } = await inContainer(engine, ["/bin/sh", "/opt/script"], {
        files: FILES,
        ...(engine === "podman" ? { options: ["--security-opt", `seccomp=${DOCKER}`] } : {}),
      });
      const { lines, waits: [ms] } = takeWaits(stdout);
      tellWait(`root in a container (${engine})`, ms!);
      assert.deepEqual(
        lines,
        [
          `uid 0, capabilities ${DOCKER_CAPABILITIES}`,
          "no namespaces",
          "demo answers",
          "mine answers",
          '"isolation":"strict"',
          "secllama-encryption: sealed",
          "secllama-isolation: strict",
          "its paths are closed to the runners' user",
          "2 runners, each without root, rights and calls",
          "enforced unprivileged user",
          "enforced no capabilities",
          "enforced no new privileges",
          "on its word landlock",
          "enforced seccomp",
          "on its word stage 2",
          "enforced limits",
          "enforced dies with the gateway",
          "ended cleanly",
        ],
        stderr,
      );
    },
  });
}

Deno.test({
  name:
    "journey: a folder with Debian's base system and nothing else, no key store: asked at the terminal",
  ignore: noBase !== "",
  async fn() {
    const engine = noPodman === "" ? "podman" : "fake";
    const { stdout, stderr } = await inContainer(engine, ["/bin/sh", "/opt/script"], {
      files: { ...FILES, "/opt/script": `${ROOT}tests/binary/journey.sh` },
    });
    const { lines, waits } = takeWaits(stdout);
    const [memory, file] = waits;
    tellWait("a folder with Debian's base system, key in memory", memory!);
    tellWait("a folder with Debian's base system, key in a file", file!);
    assert.deepEqual(
      lines,
      [
        "without a terminal: error: the key store is not available: /usr/bin/gdbus is not installed",
        "hint: install dbus-daemon libglib2.0-bin libsecret-tools gnome-keyring and log in anew, or name another source of the key (secllama help keys): " +
        "--ephemeral (in memory, for this time) or --key-file FILE (a file under a passphrase)",
        "chose 2: no socket",
        "in memory only",
        "chose 1: no socket",
        "in a passphrase",
        "chose again: no socket",
        "in a passphrase",
        "/root/.local/share/secllama/key-file",
      ],
      stderr,
    );
  },
});

const USER = [
  ...["--user", "1000:1000", "--env", "HOME=/home/user"],
  ...["--tmpfs", "/home/user:rw,exec,mode=1777"],
];
const FULL = [
  ...["no socket", "strict", "enforced network namespace", "enforced private root"],
  ...["enforced unprivileged user", "on its word landlock"],
];
const REDUCED = [
  ...["no socket", "strict", "not planned network namespace", "not planned private root"],
  ...["enforced unprivileged user", "on its word landlock"],
];
const GIVE_UP = ["SETUID", "SETGID", "SETPCAP"].flatMap((name) => ["--cap-add", name]);

/**
 * Options of `podman run`, and what is printed: the first answer and the layers, or one error with its advice. The first two are run in
 * every run, the others with SECLLAMA_FULL=1 only.
 */
const VARIANTS: [name: string, options: string[], printed: (string | RegExp)[]][] = [
  [
    "an ordinary user with Docker's profile",
    [...USER, "--security-opt", `seccomp=${DOCKER}`],
    REDUCED,
  ],
  ["root with no capability", ["--cap-drop", "ALL"], [
    "error: failed to apply sandbox: launcher: drop the bounding set: EPERM",
    /^hint: .*--cap-add SETUID --cap-add SETGID --cap-add SETPCAP.*--user 1000/,
  ]],
  ["an ordinary user without a profile: /proc is masked, and none can be mounted", [
    ...[...USER, "--security-opt", "seccomp=unconfined"],
  ], FULL],
  ["root where the engine is older than Landlock", ["--security-opt", `seccomp=${OLD_DOCKER}`], [
    /^error: failed to apply sandbox: neither Landlock nor a private root.*no Landlock: a filter around this process refuses it/,
    /^hint: start the container with a seccomp profile.*--cap-add SYS_ADMIN/,
  ]],
  ["an ordinary user with podman's profile, which has namespaces but no host name", USER, FULL],
  [
    "an ordinary user with no-new-privileges",
    [...USER, "--security-opt", "no-new-privileges"],
    FULL,
  ],
  [
    "root with no capability but those to give itself up",
    ["--cap-drop", "ALL", ...GIVE_UP],
    REDUCED,
  ],
  ["root with namespaces", ["--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE"], FULL],
  ["root with namespaces that it cannot read", ["--cap-add", "SYS_ADMIN"], [
    /^error: failed to apply sandbox: network namespace: unreadable/,
    /^hint: .*--cap-add SYS_PTRACE/,
  ]],
];

const SAMPLE = 2;
if (!EVERYTHING) {
  console.log(`skipped without SECLLAMA_FULL=1: ${VARIANTS.length - SAMPLE} containers`);
}

for (const [i, [name, options, printed]] of VARIANTS.entries()) {
  Deno.test({
    name: `binary: in podman, ${name}`,
    ignore: noPodman !== "" || (i >= SAMPLE && !EVERYTHING),
    async fn() {
      const { stdout, stderr } = await inContainer("podman", ["/bin/sh", "/opt/script"], {
        files: { ...FILES, "/opt/script": `${ROOT}tests/binary/container_start.sh` },
        options,
      });
      const lines = stdout.trim().split("\n");
      assert.equal(lines.length, printed.length, stdout + stderr);
      for (const [i, wanted] of printed.entries()) {
        if (typeof wanted === "string") assert.equal(lines[i], wanted, stdout);
        else assert.match(lines[i]!, wanted);
      }
    },
  });
}
