/** `secllama run` beside a real serve. */
import assert from "node:assert/strict";
import { startScripted } from "../support/agent_model.ts";
import { bothWays, cli, newHome, secllama, startServe } from "../support/serve.ts";

const QUESTION = "What is network isolation?";

bothWays("run: an answer on standard output, nothing else", async () => {
  const served = await startServe();
  const { home, env: own } = await newHome();
  const env = { ...own, HOME: served.home };
  try {
    const port = new URL(served.proxyUrl).port;
    const plain = await cli(["run", "demo", QUESTION, "--temperature=0", `--proxy-port=${port}`], {
      env,
    });
    assert.equal(plain.code, 0, plain.stderr);
    assert.match(plain.stdout, /network|socket/i);
    const piped = await cli(["run", "demo", "--temperature=0", `--proxy-port=${port}`], {
      env,
      stdin: QUESTION + "\n",
    });
    assert.equal(piped.stdout, plain.stdout);
    const json = await cli([
      "run",
      "demo",
      QUESTION,
      "--json",
      "--temperature=0",
      `--proxy-port=${port}`,
    ], { env });
    assert.equal(JSON.parse(json.stdout).message.content + "\n", plain.stdout);
    const both = await cli(["run", "demo", QUESTION, "--json", `--proxy-port=${port}`], {
      env,
      stdin: "one two three four five six\n",
    });
    const tokens = (answer: string) => JSON.parse(answer).prompt_eval_count;
    assert.ok(tokens(both.stdout) >= tokens(json.stdout) + 6, "a pipe's text comes with PROMPT");
    const empty = await cli(["run", "demo", `--proxy-port=${port}`], { env });
    assert.equal(empty.code, 2);
    assert.match(empty.stderr, /^error: the prompt is empty\n/);
    for (const command of [["run", "demo", "x"], ["ps"], ["wait"], ["stop", "demo"]]) {
      const zero = await cli([...command, "--proxy-port=0"], { env });
      assert.equal(zero.code, 2, command[0]);
      assert.match(zero.stderr, /names no proxy[^]*hint: .*--ready-fd/);
    }
    const keyless = await cli(["proxy", "--ephemeral", "--proxy-port=0"], { env });
    assert.equal(keyless.code, 2, keyless.stderr);
    const missing = await cli(["run", "nothing", "x", `--proxy-port=${port}`], { env });
    assert.notEqual(missing.code, 0);
    assert.match(missing.stderr, /error: .*not found/);
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});

bothWays(
  "run: Ctrl-C in the middle of an answer, or a service's end, is no fault of ours",
  async () => {
    const served = await startScripted();
    const { home, env } = await newHome();
    try {
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        const port = new URL(served.proxyUrl).port;
        const [program, ...args] = secllama([
          ...["run", "scripted", "USE:endless", `--proxy-port=${port}`],
        ]);
        const child = new Deno.Command(program!, {
          ...{ args, env: { ...env, HOME: served.home }, clearEnv: true },
          ...{ stdin: "null", stdout: "piped", stderr: "piped" },
        }).spawn();
        const stderr = new Response(child.stderr).text();
        const reader = child.stdout.getReader();
        assert.ok((await reader.read()).value!.length > 0);
        child.kill(signal);
        while (!(await reader.read()).done);
        assert.deepEqual([(await child.status).code, (await stderr).trim()], [
          1,
          "error: cancelled",
        ]);
      }
    } finally {
      await served.stop();
      await Deno.remove(home, { recursive: true });
    }
  },
);

bothWays("run: a conversation without a proxy ends before the first question", async () => {
  const { home, env } = await newHome();
  try {
    // Nothing listens on port 1.
    const run = secllama(["run", "demo", "--proxy-port=1"]).join(" ");
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", run, "/dev/null"],
      env,
      clearEnv: true,
      stdin: "null",
    }).output();
    const shown = new TextDecoder().decode(stdout);
    assert.equal(code, 5, shown);
    assert.match(shown, /error: no proxy answers[^]*hint: .*secllama serve/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

bothWays("run: a conversation has commands, and goes on after an error", async () => {
  const served = await startServe();
  const { home, env } = await newHome();
  let stopped: Promise<unknown> | undefined;
  try {
    const port = new URL(served.proxyUrl).port;
    const run = secllama(["run", "demo", `--proxy-port=${port}`]).join(" ");
    const script = new Deno.Command("script", {
      args: ["-qec", run, "/dev/null"],
      env: { ...env, HOME: served.home },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const keys = script.stdin.getWriter();
    const type = (text: string) => keys.write(new TextEncoder().encode(text));
    let shown = "";
    // What has been shown by the time that each line is typed; the prompt is drawn again as one is.
    const lines: [after: RegExp, line: string][] = [
      [/>>> /, "/?\n"],
      [/\/clear[^]*>>> /, "/nothing\n"],
      [/there is no command[^]*>>> /, "Hello\n"],
      [/error: no proxy answers[^]*>>> /, "/bye\n"],
    ];
    for await (const chunk of script.stdout.pipeThrough(new TextDecoderStream())) {
      shown += chunk;
      if (lines.length === 0 || !lines[0]![0].test(shown)) continue;
      const [, line] = lines.shift()!;
      if (line === "Hello\n") await (stopped = served.stop());
      await type(line);
    }
    assert.equal((await script.status).code, 0, shown);
    assert.match(shown, /\/clear[^]*there is no command[^]*error: no proxy answers[^]*$/);
    await keys.close().catch(() => {});
  } finally {
    await (stopped ?? served.stop());
    await Deno.remove(home, { recursive: true });
  }
});
