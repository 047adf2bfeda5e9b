/**
 * The history's thread: it may read and write the history's folder and nothing else. The proxy's own loop neither waits for the
 * disk nor for a search. Answers in the order of the questions.
 */
import { type Answer, CALLS, failureOf, type Question } from "./calls.ts";
import { History } from "./history.ts";

let history: History | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Erases what was deleted when its time has come. What fails now is tried again with the next deletion or start. */
function sweep(): void {
  clearTimeout(timer);
  try {
    const wait = history?.sweep();
    if (wait !== undefined) timer = setTimeout(sweep, wait);
  } catch { /* the next call says what is wrong */ }
}

function answer(question: Question): unknown {
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
  const value = (history[call] as (...values: readonly unknown[]) => unknown)(...values);
  if (call === "remove") sweep();
  return value;
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
