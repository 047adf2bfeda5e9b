/** What a runner that does not start is reported as: the launcher's word, a network that it wanted, or just its end. */
import assert from "node:assert/strict";
import { HANG_MS, settled } from "../../tests/support/patience.ts";
import { utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { encodeFrame, FRAME } from "../pipe/frame.ts";
import type { Exchange } from "../pipe/pipe.ts";
import type { BootMessage } from "../api/pipe_messages.ts";
import { spawnCommand } from "../sandbox/spawn.ts";
import { RunnerProcess, type RunnerProcessOptions } from "./runner_process.ts";
import { isOn } from "../../tests/support/systems.ts";

function start(
  script: string,
  onRecipients: RunnerProcessOptions["onRecipients"] = () => {},
  prove: RunnerProcessOptions["prove"] = () => Promise.resolve(),
): Promise<RunnerProcess> {
  return RunnerProcess.start({
    start: () => Promise.resolve(spawnCommand({ argv: ["/bin/sh", "-c", script], env: {} })),
    boot: { t: "boot" } as BootMessage,
    prove,
    keys: () => Promise.resolve(new Uint8Array(0)),
    onLoading: () => {},
    onRecipients,
    onKeepAlive: () => {},
    onDead: () => {},
    onLeaving: () => {},
    timeoutMs: HANG_MS,
    silenceMs: HANG_MS,
    logger: silentLogger,
  } as unknown as RunnerProcessOptions);
}

async function failure(...of: Parameters<typeof start>): Promise<SecLlamaError> {
  try {
    await start(...of);
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, String(error));
    return error;
  }
  throw new Error("it started");
}

const READY = {
  t: "ready",
  loadMs: 1,
  sees: false,
  drafts: false,
  lockdown: [],
  attacks: [],
  permissions: {},
};

/** A runner that sends control messages and waits. */
function saying(...messages: readonly object[]): string {
  return `${printing(...messages)}; exec cat > /dev/null`;
}

function printing(...messages: readonly object[]): string {
  const octal = messages
    .flatMap((message) => [...encodeFrame(FRAME.control, 0, utf8(JSON.stringify(message)))])
    .map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  return `printf '${octal}'`;
}

const CASES: readonly [said: string, code: string, message: RegExp, hint: RegExp][] = [
  [
    "launcher: clone /x: EPERM",
    "sandbox-failed",
    /^failed to apply sandbox: launcher: clone/,
    /AppArmor or a seccomp profile/,
  ],
  [
    "unshare: unshare failed: Operation not permitted",
    "sandbox-failed",
    /^failed to apply sandbox: unshare/,
    /start serve again/,
  ],
  [
    "hf: socket: Permission denied",
    "model-failed",
    /fails to start with network errors/,
    /secllama pull/,
  ],
  [
    "NotCapable: Requires net access to 127.0.0.1",
    "model-failed",
    /fails to start with network errors/,
    /secllama import/,
  ],
  ["something else", "model-failed", /its runner ended with code 7/, /secllama verify/],
  [
    "mmap: Operation not permitted",
    "model-failed",
    /its runner ended with code 7/,
    /secllama doctor/,
  ],
];

for (const [said, code, message, hint] of CASES) {
  Deno.test({
    name: `a runner that says "${said}" and ends: ${code}`,
    ignore: isOn("windows"),
    async fn() {
      const error = await failure(`echo '${said}' >&2; exit 7`);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.match(error.hint ?? "", hint);
    },
  });
}

const ENDS: readonly [signal: string, hint: RegExp][] = [
  ["SYS", /secllama doctor/],
  ["ABRT", /does not bear this file/],
  ["SEGV", /does not bear this file/],
  ["ILL", /this processor/],
  ["KILL", /too little memory/],
];

for (const [signal, hint] of ENDS) {
  Deno.test({
    name: `a runner that ends by SIG${signal}: the sandbox is named only where it may be the cause`,
    ignore: isOn("windows"),
    async fn() {
      const error = await failure(`kill -${signal} $$`);
      assert.match(error.message, new RegExp(`its runner ended with SIG${signal}$`));
      assert.match(error.hint ?? "", hint);
      assert.equal(/doctor/.test(error.hint ?? ""), signal === "SYS");
    },
  });
}

Deno.test({
  name:
    "a runner that is ended by its first computation, after stage 2: the sandbox may be the cause",
  ignore: isOn("windows"),
  async fn() {
    const error = await failure("echo 'runner: computes' >&2; kill -ABRT $$");
    assert.match(error.hint ?? "", /on this processor.*secllama doctor/);
  },
});

Deno.test({
  name: "a runner's word for its failure is one of our codes, not a property that every object has",
  ignore: isOn("windows"),
  async fn() {
    const error = await failure(saying({ t: "failed", code: "constructor", message: "x" }));
    assert.equal(error.code, "model-failed");
    assert.equal(error.status, 500);
  },
});

Deno.test({
  name:
    "a runner's word for its failure is told as its word, and by no code that is a refusal of the gateway's",
  ignore: isOn("windows"),
  async fn() {
    for (const code of ["auth", "rate-limited", "busy", "sandbox-failed", "wrong-host", "clock"]) {
      const error = await failure(saying({ t: "failed", code, message: "run: evil" }));
      assert.deepEqual(
        [error.code, error.message],
        ["model-failed", "model failed to load: its runner says: run: evil"],
      );
    }
    for (const code of ["bad-request", "bad-model", "not-supported"]) {
      const error = await failure(saying({ t: "failed", code, message: "x" }));
      assert.equal(error.code, code);
    }
  },
});

Deno.test({
  name: "what a runner says of its libraries is no reason to check the model's file",
  ignore: isOn("windows"),
  async fn() {
    const source = await Deno.readTextFile(
      new URL("../../runner/engine/library.ts", import.meta.url),
    );
    const texts = [
      "library ${name} cannot be read",
      "library ${name} is not one of ${set.package}",
      "library ${name} has SHA-256 ${actual}, must be ${expected}",
      "the folder of the llama.cpp libraries cannot be read",
      "the llama.cpp libraries could not be loaded",
      "no llama.cpp libraries are pinned for ${platform}",
      "${other} is no llama.cpp whose layout was checked, must be one of ${known}",
      "llama.cpp has no backend for this processor",
      "the CPU backend has no ${name}",
    ];
    for (const text of texts) {
      assert.ok(source.includes(text), `it says so no more: ${text}`);
      const message = text.replaceAll(/\$\{.*?\}/g, "libllama.so");
      const error = await failure(saying({ t: "failed", code: "model-failed", message }));
      assert.match(error.hint!, /--engine-libraries/, message);
    }
    for (const message of ["x", "the file ends within a tensor", "a library of tensors"]) {
      const error = await failure(saying({ t: "failed", code: "model-failed", message }));
      assert.equal(error.hint, "check the file with: secllama verify", message);
    }
  },
});

Deno.test({
  name:
    "once the runner runs, what it prints is not taken for the launcher's, nor is there advice on it",
  ignore: isOn("windows"),
  async fn() {
    const said = "launcher: read /etc/shadow as uid 65432: EACCES";
    const print = `echo '${said}' >&2; exit 7`;
    // The control: the launcher's own line, and what to do about it.
    const launcher = await failure(print);
    assert.equal(launcher.code, "sandbox-failed");
    assert.match(`${launcher.message} ${launcher.hint}`, /shadow.*chmod o\+r \/etc\/shadow/);
    const loading = printing({ t: "loading", percent: 0 });
    const runner = await failure(`${loading}; ${print}`);
    assert.equal(runner.code, "model-failed");
    assert.doesNotMatch(`${runner.message} ${runner.hint}`, /shadow|chmod/);
  },
});

Deno.test({
  name: "a runner whose announced keys are refused is ended",
  ignore: isOn("windows"),
  async fn() {
    const error = await failure(saying({ t: "recipients", ids: ["0123456789abcdef"] }), () => {
      throw new SecLlamaError("pipe-broken", "it names another's keys");
    });
    assert.deepEqual([error.code, error.message], ["pipe-broken", "it names another's keys"]);
  },
});

Deno.test({
  name: "a runner that is ready without a key, or names what is none, is ended",
  ignore: isOn("windows"),
  async fn() {
    const id = "0123456789abcdef";
    const cases: readonly (readonly [messages: readonly object[], message: RegExp])[] = [
      [[READY], /ready without a key/],
      ...[[], [""], ["00"], [id + "0"], [id.toUpperCase()], [7], Array(9).fill(id), {}, null, id]
        .map((
          ids,
        ) => [[{ t: "recipients", ids }, READY], /ids/] as const),
    ];
    for (const [messages, message] of cases) {
      const error = await failure(saying(...messages));
      assert.equal(error.code, "pipe-broken", JSON.stringify(messages));
      assert.match(error.message, message, JSON.stringify(messages));
    }
    // What it takes to get farther: the judge, which refuses this one.
    const error = await failure(saying({ t: "recipients", ids: [id] }, READY), undefined, () => {
      throw new SecLlamaError("sandbox-failed", "judged");
    });
    assert.equal(error.message, "judged");
  },
});

Deno.test({
  name: "a runner that says what an honest one does not is ended",
  ignore: isOn("windows"),
  async fn() {
    const wrong = [
      { t: "pong", busy: 0, steps: 0, more: 1 },
      { t: "keep_alive", ms: "1" },
      { t: "ready" },
      { t: "nothing" },
      {},
    ];
    for (const message of wrong) {
      const error = await failure(saying(message));
      assert.equal(error.code, "pipe-broken", JSON.stringify(message));
    }
  },
});

Deno.test({
  name: "what an exchange cost is told at its end, however many came and went meanwhile",
  ignore: isOn("windows"),
  async fn() {
    const begun = printing({ t: "recipients", ids: ["0123456789abcdef"] }, READY);
    const used = printing({ t: "used", exchange: 1, prompt: 3, reply: 4 });
    // It speaks when the key frame has come: nothing that is sent before has as many bytes.
    const runner = await start(`${begun}; head -c 8000 >/dev/null; ${used}; exec cat >/dev/null`);
    try {
      const exchange = runner.open({ kind: "sealed" });
      assert.equal(exchange.id, 1);
      const told = Promise.withResolvers<unknown>();
      const receipt = () => {};
      runner.onSaid(exchange, { used: told.resolve, receipt, refused: receipt });
      for (let id = 2; id < 9_000; id++) {
        runner.onSaid({ id } as Exchange, { used() {}, receipt, refused: receipt });
      }
      runner.sendKeys(new Uint8Array(8_000));
      assert.deepEqual(await settled(told.promise, "what it used"), { prompt: 3, reply: 4 });
    } finally {
      await runner.kill();
    }
  },
});
