/// <reference lib="dom" />
/**
 * The script that reads Markdown and TeX comes after the page is drawn, or when the first answer is: the list of conversations
 * need not wait until it was read and run. Until it is here an answer is shown as it is written.
 */
import { ROUTES } from "../api/routes.ts";

type Reading = typeof import("./reading.ts");

let script: Reading | undefined;
let coming: Promise<void> | undefined;

/** The script; undefined: it is not here yet, and comes. */
export function reading(): Reading | undefined {
  if (script === undefined) void fetchReading();
  return script;
}

/** Has it come, if it is not here or on its way. Settles when it is here, or could not be had: it is asked for again then. */
export function fetchReading(): Promise<void> {
  return coming ??= import(ROUTES.pageReading.path).then(
    (module: Reading) => {
      script = module;
      for (const here of waiting.splice(0)) here();
    },
    () => void (coming = undefined),
  );
}

const waiting: (() => void)[] = [];

/** Calls `act` once it is here. */
export function whenReading(act: () => void): void {
  waiting.push(act);
}
