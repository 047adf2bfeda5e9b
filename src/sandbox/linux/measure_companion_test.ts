/** How an engine's processes are read where some end meanwhile, and where they are too many: over a made-up /proc. */
import assert from "node:assert/strict";
import { type Linux, SystemCallError } from "../../linux/libc.ts";
import { measureCompanion } from "./measure_companion.ts";
import type { LinuxPlan } from "./plan.ts";

const RUNNER = 100;
const NOBODY = 65_534;
const PLAN = { launch: { user: NOBODY } } as unknown as LinuxPlan;
const ENOENT = 2;

interface Made {
  readonly children?: readonly number[];
  readonly state?: string;
  /** Read so often, it is gone. */
  readonly reads?: number;
  readonly root?: string;
}

/** A /proc of these processes, and of this one. */
function made(processes: Readonly<Record<number, Made>>): Linux {
  const left = new Map(Object.entries(processes).map(([pid, { reads }]) => [pid, reads]));
  const find = (path: string): [Made, string] => {
    const [, pid, rest] = /^\/proc\/(\d+)\/(.*)$/.exec(path) ?? [];
    const one = processes[Number(pid)];
    const reads = left.get(pid!);
    if (reads !== undefined) left.set(pid!, reads - 1);
    if (!one || reads !== undefined && reads <= 0) throw new SystemCallError(path, ENOENT);
    return [one, rest!];
  };
  const ids = Array(4).fill(NOBODY).join("\t");
  return {
    readDirectory: (path: string) => (find(path), [/\d+/.exec(path)![0]]),
    readLink(path: string) {
      const [{ state }] = find(path);
      if (state === "Z") throw new SystemCallError(path, ENOENT);
      return path.replace(/^\/proc\/\d+/, "");
    },
    readText(path: string) {
      if (path === "/proc/self/status") return "Seccomp_filters:\t1\n";
      const [{ children = [], root = "one root", state = "S" }, rest] = find(path);
      if (rest.endsWith("children")) return children.map((pid) => `${pid} `).join("");
      if (rest === "mountinfo") return root;
      return `State:\t${state}\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t2\nUid:\t${ids}\n` +
        `Gid:\t${ids}\nCapInh:\t0\nCapPrm:\t0\nCapEff:\t0\nCapAmb:\t0\n`;
    },
  } as unknown as Linux;
}

const ENGINE: Made = { children: [102, 103] };
const measure = (processes: Readonly<Record<number, Made>>) =>
  measureCompanion(made({ [RUNNER]: { children: [101] }, ...processes }), RUNNER, PLAN);

Deno.test("an engine and what it started are read, and one with another root is found", () => {
  const whole = measure({ 101: ENGINE, 102: {}, 103: {} });
  assert.deepEqual([whole.inside.holds, whole.confined.holds], [true, true]);
  assert.match(whole.inside.observed, /^3 processes/);
  const moved = measure({ 101: ENGINE, 102: {}, 103: { root: "another" } });
  assert.equal(moved.inside.holds, false);
  assert.match(moved.inside.observed, /1 with another root/);
});

Deno.test("a child that ends while it is read leaves the layers readable", () => {
  for (let reads = 0; reads < 20; reads++) {
    const { inside, confined } = measure({ 101: ENGINE, 102: { reads }, 103: {} });
    assert.deepEqual([inside.holds, confined.holds], [true, true], `${reads}: ${inside.observed}`);
  }
  const zombie = measure({ 101: ENGINE, 102: { state: "Z" }, 103: {} });
  assert.match(zombie.inside.observed, /^2 processes/);
  assert.equal(zombie.inside.holds, true);
});

Deno.test("an engine that is gone, or has more processes than are read, is not said to be held", () => {
  const gone = measure({ 101: { state: "Z" } });
  assert.match(gone.inside.observed, /not there/);
  assert.equal(gone.confined.holds, undefined);
  const many = Array.from({ length: 600 }, (_, i) => 1000 + i);
  const { inside, confined } = measure({
    101: { children: many },
    ...Object.fromEntries(many.map((pid) => [pid, {}])),
  });
  assert.deepEqual([inside.holds, confined.holds], [undefined, undefined]);
  assert.match(inside.observed, /more than 512 processes/);
});
