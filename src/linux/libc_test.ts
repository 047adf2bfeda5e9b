import assert from "node:assert/strict";
import { errnoName, errnoNumber } from "./errno.ts";
import { cstr, linux, SystemCallError } from "./libc.ts";
import { currentArch, isSyscall, syscallNumber } from "./syscalls.ts";
import { notOn } from "../../tests/support/systems.ts";

const onLinux = { ignore: notOn("linux") };

Deno.test("the tables hold the numbers of the kernel's own", () => {
  const known: [string, number | undefined, number | undefined][] = [
    ["seccomp", 317, 277],
    ["landlock_create_ruleset", 444, 444],
    ["close_range", 436, 436],
    ["capset", 126, 91],
    ["openat", 257, 56],
    ["open", 2, undefined],
    ["pivot_root", 155, 41],
    ["mount_setattr", 442, 442],
    ["file_setattr", 469, 469],
  ];
  for (const [name, x86, arm] of known) {
    assert.equal(syscallNumber("x86_64", name), x86, name);
    assert.equal(syscallNumber("aarch64", name), arm, name);
  }
  assert.equal(syscallNumber("aarch64", "seccomp"), 277);
  assert.ok(!isSyscall("no_such_call"));
});

Deno.test("error names and numbers map both ways", () => {
  assert.equal(errnoName(13), "EACCES");
  assert.equal(errnoNumber("EACCES"), 13);
  assert.equal(errnoName(4095), "errno 4095");
});

Deno.test({
  name: "a refused call returns its own error number",
  ...onLinux,
  fn() {
    const system = linux();
    assert.equal(system.call("getpid"), Deno.pid);
    assert.equal(system.call("close", -1), -errnoNumber("EBADF"));
    assert.equal(system.call("openat", -100, cstr("/no/such"), 0), -errnoNumber("ENOENT"));
    assert.throws(() => system.readFile("/no/such"), (error) => {
      assert.ok(error instanceof SystemCallError);
      assert.equal(error.message, "open /no/such: ENOENT");
      return true;
    });
    assert.throws(() => cstr("a\0b"), TypeError);
  },
});

Deno.test({
  name: "files, links and folders are read past Deno's permissions",
  permissions: { ffi: true },
  ...onLinux,
  fn() {
    const system = linux();
    assert.match(system.readText("/proc/self/status"), new RegExp(`^Pid:\\s+${Deno.pid}$`, "m"));
    assert.match(system.readLink("/proc/self/ns/net"), /^net:\[\d+\]$/);
    assert.ok(system.readDirectory("/proc/self").includes("status"));
    assert.ok(currentArch().length > 0);
  },
});
