/**
 * The history's thread: it may read and write the history's folder and nothing else. The proxy's own loop neither waits for the
 * disk nor for a search. It does one thing after the other, but that it reads documents beside the rest.
 */
import { UNDO_MS } from "../api/history.ts";
import { type Answer, CALLS, failureOf, type Question } from "./calls.ts";
import { History } from "./history.ts";

let history: History | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Calls after which something may be left to erase. */
const ERASING: readonly string[] = ["remove", "erase", "addDocument", "removeDocument"];

/** Erases what was deleted when its time has come. What fails now is tried again. */
function sweep(): void {
  clearTimeout(timer);
  let wait: number | undefined;
  try {
    wait = history?.sweep();
  } catch {
    // The next call says what is wrong.
    wait = UNDO_MS;
  }
  if (wait !== undefined) timer = setTimeout(sweep, wait);
}

async function answer(question: Question): Promise<unknown> {
  if ("loaded" in question) return null;
  if ("open" in question) {
    history ??= new History(question.open);
    sweep();
    return null;
  }
  if ("close" in question) {
    clearTimeout(timer);
    history?.[Symbol.dispose]();
    history = undefined;
    return null;
  }
  const { call, values } = question;
  if (history === undefined || !CALLS.includes(call)) throw new TypeError("no such call");
  try {
    return await (history[call] as (...values: readonly unknown[]) => unknown)(...values);
  } finally {
    if (ERASING.includes(call)) sweep();
  }
}

/** This thread's side of the pipe; the types of a window know no thread. */
const thread = self as unknown as {
  onmessage: (event: MessageEvent<Question>) => void;
  postMessage(said: Answer): void;
};

thread.onmessage = async ({ data }) => {
  let said: Answer;
  try {
    said = { id: data.id, value: await answer(data) };
  } catch (error) {
    said = { id: data.id, failure: failureOf(error) };
  }
  thread.postMessage(said);
};
