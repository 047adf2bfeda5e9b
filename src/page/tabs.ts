/// <reference lib="dom" />
/** Several tabs of the page tell each other that a conversation changed: its name, which is random, and nothing of it. */
const channel = new BroadcastChannel("secllama");

/** Tells the other tabs. */
export function tellTabs(conversation: string): void {
  channel.postMessage({ conversation });
}

/** Is told by other tabs. */
export function hearTabs(heard: (conversation: string) => void): void {
  channel.onmessage = ({ data }) => {
    const { conversation } = Object(data) as { conversation?: unknown };
    if (typeof conversation === "string") heard(conversation);
  };
}
