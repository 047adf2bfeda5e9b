/** Each cause for which a sandbox cannot be had, or a start is refused, has advice of its own, and the advice is right for it. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { errnoName } from "../../src/linux/errno.ts";
import {
  groupHint,
  isPassing,
  layerHint,
  memoryFileHint,
  passingHint,
  startHint,
  type Surroundings,
  unavailableHint,
} from "../../src/sandbox/linux/hints.ts";

const GENERAL = startHint("launcher: something that no table has: EPERM");
const GOLDEN = new URL("../golden/sandbox/", import.meta.url);

/** What starter and launcher do, in every golden plan. */
async function everyStep(): Promise<string[]> {
  const steps = new Set<string>();
  for (const name of await readdir(GOLDEN)) {
    if (!/^linux-.*\.txt$/.test(name) || name.includes("filter")) continue;
    const text = await readFile(new URL(name, GOLDEN), "utf8");
    for (const [, what] of text.matchAll(/^ {2}(\S.*?): [a-z_0-9]+\(.*\) (?:=|→)/gm)) {
      steps.add(what!);
    }
  }
  return [...steps];
}

Deno.test("every step of every plan, refused with whatever error, has advice beside the general one", async () => {
  const steps = await everyStep();
  assert.ok(steps.length > 100, `${steps.length} steps`);
  const errors = Array.from({ length: 40 }, (_, i) => errnoName(i + 1))
    .filter((name) => !name.startsWith("errno"));
  const general = steps.flatMap((what) =>
    [...errors, "EOPNOTSUPP", "refused"].map((error) => `launcher: ${what}: ${error}`)
      .filter((line) => startHint(line) === GENERAL)
  );
  assert.deepEqual(general, []);
});

/** cause → what its advice must name. */
const CAUSES: readonly [line: string, advice: RegExp][] = [
  ["unshare: unshare failed: Operation not permitted", /refused now: start serve again/],
  ["unshare: cannot change root filesystem propagation: Permission denied", /apparmor=unconfined/],
  ["unshare: unrecognized option '--map-current-user'", /util-linux 2\.38/],
  [
    "launcher: unshare did not isolate: still in the gateway's net:[1]: refused",
    /replace the unshare/,
  ],
  ["launcher: read /srv/m.gguf as uid 65432: EACCES", /chmod o\+r \/srv\/m\.gguf.*secllama import/],
  ["launcher: open /srv/m.gguf: ENOENT", /\/srv\/m\.gguf went away.*secllama verify/],
  ["launcher: execute /opt/run: EACCES", /\/opt\/run may not .* noexec/],
  ["launcher: execute /opt/run: ENOEXEC", /install SecLlama again/],
  ["launcher: setgroups: EPERM", /SETUID --cap-add SETGID --cap-add SETPCAP/],
  ["launcher: setresuid 65432: EINVAL", /subuid/],
  ["launcher: drop the bounding set: EPERM", /--cap-add SETPCAP\)/],
  ["launcher: limit nproc: EPERM", /--ulimit nproc=/],
  ["launcher: landlock ruleset: ENOSYS", /Landlock was there/],
  ["launcher: seccomp: EINVAL", /takes no seccomp filter/],
  ["launcher: enter /sys/fs/cgroup/x: EBUSY", /\/sys\/fs\/cgroup\/x.*Delegate=yes/],
  ["launcher: make mounts private: EACCES", /AppArmor or a seccomp profile/],
  ["launcher: clone /etc: ENOSYS", /kernel of 5\.12/],
  ["launcher: setsid: ENOSYS", /SystemCallFilter=/],
  ["unshare: fork failed: Resource temporarily unavailable", /pids\.max/],
  ["launcher: execute /opt/run: ENOMEM", /too little memory/],
  ["launcher: open /opt/run: EMFILE", /ulimit -n/],
  ["sandbox-exec: invalid profile", /secllama sandbox plan/],
];

Deno.test("each cause of a refused start has advice that names the cure, and none has another's", () => {
  for (const [line, advice] of CAUSES) assert.match(startHint(line), advice, line);
  // With every capability in a namespace that has no such user, none of them is what is missing.
  for (const step of ["setgroups: EPERM", "setresuid 65432: EINVAL", "setresgid 65432: EINVAL"]) {
    assert.match(startHint(`launcher: ${step}`, { mapped: false }), /65432 are not mapped.*subuid/);
  }
  // Two causes may share the words only where they share the cure.
  const shared = Map.groupBy(CAUSES, ([line]) => startHint(line));
  const doubled = [...shared.values()].filter((list) => list.length > 1).map((list) =>
    list.map(([line]) => line)
  );
  assert.deepEqual(doubled, [
    [
      "unshare: cannot change root filesystem propagation: Permission denied",
      "launcher: make mounts private: EACCES",
    ],
    ["launcher: setgroups: EPERM", "launcher: drop the bounding set: EPERM"],
  ]);
});

Deno.test("advice for what strict lacks names what is lacking here, and never a program that is there", () => {
  const here: Surroundings = { uid: 1000, container: false, sysAdmin: false, forbids: "" };
  const root = { ...here, uid: 0 };
  const lack = { seccomp: true, landlock: "ENOSYS", namespaces: "EPERM", unshare: true };
  const cases: [Partial<typeof lack>, Surroundings, RegExp][] = [
    [{ unshare: false, namespaces: "unshare was not found" }, here, /^install util-linux/],
    [{ seccomp: false }, here, /CONFIG_SECCOMP_FILTER/],
    [{ seccomp: false }, { ...root, container: true }, /profile refuses seccomp/],
    [{}, { ...root, container: true }, /lets Landlock pass.*--cap-add SYS_ADMIN.*apparmor/],
    [{ landlock: "EPERM" }, { ...here, container: true }, /lets Landlock pass.*ordinary user/],
    [{ landlock: "EOPNOTSUPP" }, { ...root, container: true }, /on the host, add landlock to lsm=/],
    [{ landlock: "EOPNOTSUPP" }, here, /^add landlock to lsm=/],
    [{}, root, /lacks CAP_SYS_ADMIN/],
    [{ namespaces: "unshare succeeded but did not isolate" }, here, /replace the unshare/],
    [
      {},
      { ...here, forbids: "user.max_user_namespaces=0" },
      /sysctl -w user\.max_user_namespaces=10000/,
    ],
    [
      {},
      { ...here, forbids: "user.max_net_namespaces=0" },
      /sysctl -w user\.max_net_namespaces=10000/,
    ],
    [{}, { ...here, forbids: "kernel.unprivileged_userns_clone=0" }, /userns_clone=1 \(it is 0\)/],
    [
      {},
      { ...here, forbids: "kernel.apparmor_restrict_unprivileged_userns=1" },
      /userns=0 \(it is 1\)/,
    ],
    [{}, { ...here, sysAdmin: true }, /5\.13/],
  ];
  const seen = cases.map(([o, around, advice]) => {
    const hint = unavailableHint({ ...lack, ...o }, around);
    assert.match(hint, advice);
    assert.equal(/util-linux/.test(hint) && o.unshare !== false, /replace/.test(hint), hint);
    return hint;
  });
  assert.equal(new Set(seen).size, cases.length);
});

Deno.test("errors that pass by are told from refusals", () => {
  const passing = ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE", "ENOSPC"];
  for (const error of passing) {
    assert.ok(isPassing(`x: ${error}`, { forbids: "" }), error);
    assert.ok(passingHint(error).length > 0);
  }
  for (const error of ["EPERM", "EACCES", "ENOSYS", "EINVAL", "Operation not permitted"]) {
    assert.ok(!isPassing(`x: ${error}`, { forbids: "" }), error);
  }
  assert.ok(!isPassing("x: ENOSPC", { forbids: "user.max_user_namespaces=0" }));
});

Deno.test("each layer that a plan has, memory files and groups have advice of their own", async () => {
  const layers = new Set<string>();
  for (const name of await readdir(GOLDEN)) {
    if (!/^linux-.*\.txt$/.test(name) || name.includes("filter")) continue;
    const text = await readFile(new URL(name, GOLDEN), "utf8");
    for (const [, layer] of text.matchAll(/^ {2}[+-] ([a-z 0-9]+): /gm)) layers.add(layer!);
  }
  assert.ok(layers.size >= 17, [...layers].join(", "));
  for (const layer of layers) {
    assert.notEqual(layerHint([`${layer}: missing (x)`]), GENERAL, layer);
    assert.match(layerHint([`${layer}: unreadable (x)`]), /hidepid/);
  }
  const others = [
    ...["EACCES", "ENOSYS", "EMFILE", "ENOMEM", "EIO"].map((error) =>
      memoryFileHint(`x: ${error}`)
    ),
    ...["EAGAIN", "EBUSY", "ENOENT", "EACCES"].map((error) => groupHint(`x: ${error}`)),
  ];
  assert.equal(new Set(others).size, others.length);
});

/** `new SecLlamaError("sandbox-…", …)`, up to its closing bracket. */
function* errorsOf(text: string): Generator<string> {
  for (const { index } of text.matchAll(/new SecLlamaError\(\s*"sandbox-/g)) {
    let depth = 0;
    let at = text.indexOf("(", index);
    do {
      if (text[at] === "(") depth++;
      if (text[at] === ")") depth--;
      at++;
    } while (depth > 0);
    yield text.slice(index, at);
  }
}

Deno.test("no error of the sandbox is without a hint", async () => {
  const root = new URL("../../src/", import.meta.url);
  let seen = 0;
  for (const name of await readdir(root, { recursive: true })) {
    if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
    for (const error of errorsOf(await readFile(new URL(name, root), "utf8"))) {
      seen++;
      assert.match(error, /\bhint\b/, `${name}: ${error}`);
    }
  }
  assert.ok(seen >= 12, `${seen} errors`);
});
