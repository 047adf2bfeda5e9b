/** The goals of the whole path, each with what it is measured by, and why it is missed where it is. */

/** How a row is read. */
export interface Goal {
  /** The table that it is in. */
  readonly table: "Tokens" | "Prompts" | "Memory" | "The door" | "Guessing ahead";
  readonly name: string;
  readonly unit: "×" | "ms" | "µs" | "KB" | "requests";
  readonly goal: number;
  /** Whether it may be no more than the goal, or no less. */
  readonly sense: "at most" | "at least";
  /** A sentence for the row when it is missed. */
  readonly why: string;
}

const TOKENS = (name: string, why: string): Goal => ({
  table: "Tokens",
  name,
  unit: "×",
  goal: 1,
  sense: "at least",
  why,
});
const CHUNKS =
  "A new prompt is read in chunks of a quarter of a second, so that those who read a reply go on; llama-server reads up to 2,048 tokens at once.";
const SCRIPT =
  "Between two steps lie 0.3 ms of JavaScript without a compiler (sampling, text, sealing), which a small model's step does not hide. On the AMD EPYC the engine's loop alone reached 0.94 (110 tokens a second, and 116; 2026-12-01), with or without a compiler; the rest goes to four processes on two processors: of 12 ms a token, 0.3 lie between two steps, for 0.6 the thread that computes waits for a processor that another one has, and the step itself takes one to two longer than llama-server's, in the same function (the weights' products, which memory bounds).";
const FIRST = (name: string, why: string): Goal => ({
  table: "Prompts",
  name,
  unit: "×",
  goal: 1,
  sense: "at most",
  why,
});
const ODD =
  "Heads of 48 numbers: flash attention computes them one number at a time on processors without a kernel for that length, so it is off for them, which is quicker for tokens and slower for long prompts.";
const MEMORY = (name: string): Goal => ({
  table: "Memory",
  name,
  unit: "×",
  goal: 1.1,
  sense: "at most",
  why:
    "Three processes of a runtime stand beside the model (proxy, gateway, runner): gateway and proxy alone took 157 MB with the demo model (PSS, 2026-11-30), which a small model does not hide.",
});

/** By the name under which a run keeps its samples. */
export const GOALS: Readonly<Record<string, Goal>> = {
  "15M q8_0 1": TOKENS("15 M Q8_0, one stream", SCRIPT),
  "15M q8_0 8": TOKENS("15 M Q8_0, eight streams", SCRIPT),
  "15M q8_0 32": TOKENS("15 M Q8_0, 32 streams", SCRIPT),
  "135M q8_0 1": TOKENS("135 M Q8_0, one stream", SCRIPT),
  "135M q8_0 8": TOKENS("135 M Q8_0, eight streams", CHUNKS),
  "135M q4_0 1": TOKENS("135 M Q4_0, one stream", SCRIPT),
  "135M q4_0 8": TOKENS("135 M Q4_0, eight streams", CHUNKS),
  "135M q4_0 32": TOKENS("135 M Q4_0, 32 streams", CHUNKS),
  "1B q4_0 1": TOKENS("1 B Q4_0, one stream", SCRIPT),
  "1B q4_0 4": TOKENS("1 B Q4_0, four streams", CHUNKS),
  "1B q4_0 8": TOKENS("1 B Q4_0, eight streams", CHUNKS),
  "first short": FIRST(
    "first token of a short prompt, 15 M",
    "The way through proxy, gateway and sandbox costs some ten milliseconds of a processor (3 in the gateway, 3.5 in the proxy, 4 in the runner, where others used the machine, 2026-11-30), as much as this model's first step.",
  ),
  "first 513": FIRST("first token after 513, 135 M", CHUNKS),
  "first 2029": FIRST("first token after 2,029, 135 M", CHUNKS),
  "whole 4005": FIRST("a prompt of 4,005, heads of 48", ODD),
  "whole 13605": FIRST("a prompt of 13,605, heads of 48", ODD),
  "gap": {
    table: "Prompts",
    name: "longest gap in a reply while another's prompt of 2,029 is read, 135 M",
    unit: "×",
    goal: 0.1,
    sense: "at most",
    why:
      "A chunk is at least 64 tokens, for smaller ones cost more a token; on a slow machine that is more than the quarter of a second aimed for.",
  },
  "memory 15M": MEMORY("all processes, 15 M, 8 × 2,048"),
  "memory 135M": MEMORY("all processes, 135 M, 8 × 2,048"),
  "memory 1B": MEMORY("all processes, 1 B, 8 × 2,048"),
  "start": {
    table: "The door",
    name: "`serve` to ready, less llama-server with the same model to its health",
    unit: "ms",
    goal: 150,
    sense: "at most",
    why:
      "Three processes start, each loads its bundle in a runtime that keeps no compiled code (docs/decisions/0042-no-v8-code-cache.md), and the runner proves its sandbox by attacks: with a question and its end, 1.0 s of a processor (CONTRIBUTING.md), on two.",
  },
  "message": {
    table: "The door",
    name: "added by sealing to a message of 1 KB, p50",
    unit: "ms",
    goal: 0.3,
    sense: "at most",
    why:
      "Each message has a key of its own: a new pair and two agreements (X25519) take 0.21 ms of the 0.30 on this processor. The runner's half runs without a compiler (docs/decisions/0023-jitless-runner.md).",
  },
  "token": {
    table: "The door",
    name: "gateway and proxy, of one token",
    unit: "µs",
    goal: 100,
    sense: "at most",
    why:
      "Each frame is a read, a check and a write of the runtime's in two processes; the proxy, which opens it as well, takes two thirds. The runner's part is not in it.",
  },
  "request": {
    table: "The door",
    name: "a request through the proxy, 32 at once",
    unit: "ms",
    goal: 0.5,
    sense: "at most",
    why:
      "Each request is sealed to a key of its own and opened by one thread of the runner, without a compiler, which takes 4 ms of it; gateway and proxy take 3 and 3.5 on the same two processors (2026-11-30).",
  },
  "unread": {
    table: "The door",
    name: "of 1,000 streams at the default limits, refused without an answer that could be read",
    unit: "requests",
    goal: 0,
    sense: "at most",
    why:
      "In the run of 2026-11-29, which is older than what the listener does now, they were 342; in that of 2026-11-30 none: whoever has no place is told so, by a 503 that can be read.",
  },
  "stream": {
    table: "The door",
    name: "memory of all processes for an open stream",
    unit: "KB",
    goal: 150,
    sense: "at most",
    why:
      "Of the first 200 streams each takes 387 KB in the proxy, 139 in the gateway and 105 in the runner (PSS, 2026-11-30): a connection, a request and two ends of a reply in two processes of the runtime. Of 200 that come after them on the same server, each takes 284 to 434 KB, as the runtime's heaps have grown already.",
  },
  "guess copy": {
    table: "Guessing ahead",
    name: "a copy of the prompt, 15 M Q8_0",
    unit: "×",
    goal: 1.5,
    sense: "at least",
    why: "A step of several tokens costs more than one of one on this processor.",
  },
  "guess edit": {
    table: "Guessing ahead",
    name: "an edit of it, each 40th word another, 15 M Q8_0",
    unit: "×",
    goal: 1.5,
    sense: "at least",
    why: "A step of several tokens costs more than one of one on this processor.",
  },
  "guess nothing": {
    table: "Guessing ahead",
    name: "a text with nothing in common, 15 M Q8_0",
    unit: "×",
    goal: 0.98,
    sense: "at least",
    why: "No step differs here: what is below 1 is how much two runs of the same differ.",
  },
};

/** Whether a median meets its goal. */
export function isMet({ goal, sense }: Goal, median: number): boolean {
  return sense === "at most" ? median <= goal : median >= goal;
}
