/**
 * The launcher's machine code: what a disassembler reads in its bytes is the text beside them, and it does what its
 * description says. On this machine's architecture it runs; aarch64's runs where qemu-aarch64-static is installed.
 */
import assert from "node:assert/strict";
import { executable, Memory, type Step } from "../../src/linux/syscall_table.ts";
import { printSteps } from "../../src/linux/testing_steps.ts";
import { alloc } from "../../src/linux/libc.ts";
import type { Arch } from "../../src/linux/syscalls.ts";
import { CODE_ADDRESS, interpreter, REFUSED } from "../../src/linux/syscall_interpreter.ts";

const QEMU = "/usr/bin/qemu-aarch64-static";
const ARCHES: readonly Arch[] = ["x86_64", "aarch64"];
const linuxOnly = notOn("linux");

const DISASSEMBLER = `
import capstone, sys
modes = {"x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64), "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)}
for i in capstone.Cs(*modes[sys.argv[1]]).disasm(bytes.fromhex(sys.argv[2]), int(sys.argv[3])):
    print(("%x  %-22s %s %s" % (i.address, i.bytes.hex(" "), i.mnemonic, i.op_str)).rstrip())
`;
import { notOn } from "../support/systems.ts";

async function disassemble(arch: Arch, code: Uint8Array): Promise<string[]> {
  const { stdout, stderr } = await new Deno.Command("/usr/bin/python3", {
    args: ["-c", DISASSEMBLER, arch, code.toHex(), String(CODE_ADDRESS)],
  }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trim().split("\n");
}

for (const arch of ARCHES) {
  Deno.test({
    name: `${arch}: a disassembler reads what the listing says`,
    ignore: linuxOnly,
    async fn() {
      const { code, listing } = interpreter(arch);
      assert.deepEqual(await disassemble(arch, code), listing);
    },
  });
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a table; null where this machine cannot. */
async function run(steps: readonly Step[], arch: Arch): Promise<Ran> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, executable(steps, arch));
    await Deno.chmod(file, 0o755);
    const argv = arch === Deno.build.arch ? [file] : [QEMU, file];
    const { code, stdout, stderr } = await new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      env: { SECLLAMA_TEST: "must not arrive" },
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    await Deno.remove(file);
  }
}

const say = (text: string): Step => ({
  what: `say ${text}`,
  call: "write",
  args: [1, text, text.length],
  wanted: text.length,
});
const env = Memory.strings(["GIVEN=1"]);
const become = (argv: string[]): Step => ({
  what: `execute ${argv[0]}`,
  call: "execve",
  args: [argv[0]!, Memory.strings(argv), env],
});

async function runsOn(arch: Arch): Promise<string | null> {
  if (linuxOnly) return "there is no Linux here";
  if (arch === Deno.build.arch) return null;
  if (arch === "x86_64") return "no emulator of x86_64 is used";
  return await Deno.stat(QEMU).then(() => null, () => `${QEMU} is not installed`);
}

for (const arch of ARCHES) {
  const skip = await runsOn(arch);
  if (skip) console.error(`SKIP: the ${arch} interpreter is not run: ${skip}`);
  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({ name: `${arch}: ${name}`, ignore: skip !== null, fn });

  test("makes its calls in order and becomes a program with the given environment", async () => {
    const { code, stdout, stderr } = await run([
      say("one "),
      say("two "),
      become(["/usr/bin/env"]),
    ], arch);
    assert.deepEqual({ code, stdout, stderr }, {
      code: 0,
      stdout: "one two GIVEN=1\n",
      stderr: "",
    });
  });

  test("stops at the first error, names step and error, and makes no later call", async () => {
    const { code, stdout, stderr } = await run([
      say("before "),
      { what: "open it", call: "openat", args: [-100, "/no/such", 0, 0], wanted: "any" },
      say("after"),
      become(["/bin/true"]),
    ], arch);
    assert.deepEqual({ code, stdout, stderr }, {
      code: REFUSED,
      stdout: "before ",
      stderr: "launcher: open it: ENOENT\n",
    });
  });

  test("an error that is tolerated goes on, another stops", async () => {
    const make = (path: string): Step => ({
      what: `make ${path}`,
      call: "mkdirat",
      args: [-100, path, 0o755],
      tolerate: "EEXIST",
    });
    const after = say("after");
    assert.equal((await run([make("/tmp"), after, become(["/bin/true"])], arch)).stdout, "after");
    const other = await run([make("/no/such"), after, become(["/bin/true"])], arch);
    assert.deepEqual([other.code, other.stdout, other.stderr], [
      REFUSED,
      "",
      "launcher: make /no/such: ENOENT\n",
    ]);
  });

  test("a result other than the wanted one stops, and one that any may be does not", async () => {
    const umask = (wanted: number | "any"): Step => ({
      what: "umask",
      call: "umask",
      args: [0o22],
      wanted,
    });
    const first: Step = { what: "set it", call: "umask", args: [0o27], wanted: "any" };
    assert.equal((await run([first, umask(0o27), become(["/bin/true"])], arch)).code, 0);
    assert.equal((await run([first, umask("any"), become(["/bin/true"])], arch)).code, 0);
    const { code, stderr } = await run([first, umask(0o77), become(["/bin/true"])], arch);
    assert.deepEqual([code, stderr], [REFUSED, "launcher: umask: refused\n"]);
  });

  test("a comparison stops on the text itself and on nothing else", async () => {
    const link = await Deno.makeTempFile();
    await Deno.remove(link);
    await Deno.symlink("net:[1234]", link);
    try {
      const steps = (mustNotBe: string): Step[] => {
        const memory = new Memory("its target", alloc(64));
        return [
          { what: "readlink", call: "readlinkat", args: [-100, link, memory, 63], wanted: "any" },
          { what: "still there", memory, mustNotBe },
          become(["/bin/true"]),
        ];
      };
      const same = await run(steps("net:[1234]"), arch);
      assert.deepEqual([same.code, same.stderr], [REFUSED, "launcher: still there: refused\n"]);
      for (const other of ["net:[1235]", "net:[123", "net:[12345]", "Net:[1234]", "x"]) {
        assert.equal((await run(steps(other), arch)).code, 0, other);
      }
    } finally {
      await Deno.remove(link);
    }
  });

  test("a result is stored where a later call takes it", async () => {
    const descriptor = new Memory("the descriptor", alloc(8));
    // poll takes its descriptor from memory: {fd s32, events s16, revents s16}
    const { code } = await run([
      {
        what: "open",
        call: "openat",
        args: [-100, "/", 0, 0],
        store: { into: descriptor, at: 0 },
      },
      {
        what: "poll",
        call: "ppoll",
        args: [descriptor, 1, Memory.words(0, 0), null, 8],
        wanted: 0,
      },
      become(["/bin/true"]),
    ], arch);
    assert.equal(code, 0);
  });

  test("what a clone stores leads the child elsewhere, and the parent on", async () => {
    const child = new Memory("the child", alloc(4));
    const SIGCHLD = 17;
    const clone: Step = {
      what: "clone",
      call: "clone",
      args: [SIGCHLD, null],
      store: { into: child, at: 0 },
    };
    const there = say("child ");
    const steps = (ifZero: Step): Step[] => [
      clone,
      { what: "is it the child", memory: child, ifZero },
      { what: "wait", call: "wait4", args: [-1, null, 0, null], wanted: "any" },
      say("parent"),
      become(["/bin/true"]),
      there,
      become(["/bin/true"]),
    ];
    const { code, stdout, stderr } = await run(steps(there), arch);
    assert.deepEqual([code, stdout, stderr], [0, "child parent", ""]);
    assert.throws(() => executable(steps(say("elsewhere")), arch), /lacks the step/);
  });
}

Deno.test("a table that ends in neither exec nor exit, or names what is not there, is refused", () => {
  assert.throws(() => executable([], "x86_64"), TypeError);
  assert.throws(() => executable([say("x")], "x86_64"), TypeError);
  const open: Step = { what: "open", call: "open", args: ["/", 0] };
  assert.throws(() => executable([open, become(["/bin/true"])], "aarch64"), /no system call open/);
  assert.throws(() => executable([say("a\0b"), become(["/bin/true"])], "x86_64"), TypeError);
});

Deno.test("a printed step shows the call, its arguments and what is wanted", () => {
  assert.equal(
    printSteps([say("x"), become(["/bin/true"])]),
    [
      'say x: write(1, "x", 1) = 1',
      'execute /bin/true: execve("/bin/true", ["/bin/true"], ["GIVEN=1"]) = 0',
    ].join("\n"),
  );
});
