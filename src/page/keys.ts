/// <reference lib="dom" />
/** Shortcuts. Single letters work where nothing is typed, and can be turned off (WCAG 2.1.4). */
import type { Actions } from "./actions.ts";

/** A shortcut: its key, what it is for, what it does. */
interface Shortcut {
  readonly key: string;
  readonly name: string;
  readonly act: (actions: Actions) => void;
}

/** Whether it was there to be given the focus. */
function focus(selector: string): boolean {
  const found = document.querySelector<HTMLElement>(selector);
  found?.focus();
  return found !== null;
}

/** The messages on the screen, and the one that has the focus or holds what has it. */
function messages(): { all: HTMLElement[]; at: number } {
  const all = [...document.querySelectorAll<HTMLElement>("[data-message]")];
  const at = all.findIndex((one) => one.contains(document.activeElement));
  return { all, at };
}

function step(by: number): void {
  const { all, at } = messages();
  const next = all[at < 0 ? all.length - 1 : Math.min(all.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

/** Presses a button of the message that has the focus, else of the last one that has such a button. */
function press(act: string): void {
  const { all, at } = messages();
  const from = at < 0 ? all.toReversed() : [all[at]!];
  for (const one of from) {
    const button = one.querySelector<HTMLButtonElement>(`[data-act="${act}"]`);
    if (button && !button.disabled) return button.click();
  }
}

export const SHORTCUTS: readonly Shortcut[] = [
  { key: "?", name: "This help", act: ({ store }) => store.set({ panel: "help" }) },
  { key: "i", name: "Type a question", act: () => focus("#question") },
  { key: "n", name: "New conversation", act: ({ library }) => library.begin() },
  { key: "t", name: "New temporary conversation", act: ({ library }) => library.begin(true) },
  {
    key: "/",
    name: "Search",
    // At once where the list is shown: what is typed next belongs into it.
    act: ({ store }) => {
      if (focus("#search")) return;
      store.set({ sidebar: true });
      setTimeout(() => focus("#search"));
    },
  },
  {
    key: "b",
    name: "Show or hide the list",
    act: ({ store, state }) => store.set({ sidebar: !state.sidebar }),
  },
  { key: "j", name: "Next message", act: () => step(1) },
  { key: "k", name: "Message before", act: () => step(-1) },
  { key: "e", name: "Edit the question", act: () => press("edit") },
  { key: "r", name: "Another answer", act: () => press("regenerate") },
  { key: "[", name: "Earlier version of a message", act: () => press("branch-back") },
  { key: "]", name: "Later version of a message", act: () => press("branch-on") },
  { key: "c", name: "Copy the message", act: () => press("copy") },
  { key: "m", name: "Choose a model", act: () => focus("#model") },
  { key: "s", name: "Settings", act: ({ store }) => store.set({ panel: "settings" }) },
  { key: "o", name: "Documents", act: ({ store }) => store.set({ panel: "documents" }) },
  { key: "p", name: "Proof", act: ({ store }) => store.set({ panel: "proof" }) },
  {
    key: "d",
    name: "Dark or light",
    act: ({ store, state }) => {
      const dark = state.theme === "dark" ||
        state.theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches;
      store.set({ theme: dark ? "light" : "dark" });
    },
  },
];

/** Keys that work everywhere, for the help. */
export const OTHER_KEYS: readonly (readonly [key: string, name: string])[] = [
  ["Enter", "Send the question"],
  ["Shift+Enter", "A new line in it"],
  ["Esc", "Stop the answer; close a window; leave the text"],
];

/** Listens for them. */
export function listenForKeys(actions: Actions): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const target = event.target as HTMLElement;
    const typing = target.matches("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape") {
      if (document.querySelector("dialog[open]")) return;
      if (actions.isBusy()) void actions.stop();
      else if (typing) target.blur();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!actions.state.singleKeys || document.querySelector("dialog[open]")) return;
    const found = SHORTCUTS.find(({ key }) => key === event.key);
    if (!found) return;
    event.preventDefault();
    found.act(actions);
  });
}
