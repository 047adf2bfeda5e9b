/// <reference lib="dom" />
/** The page's entry: state, actions, and the first draw. Nothing is kept in the browser. */
import { render } from "preact";
import { Actions } from "./actions.ts";
import { enter } from "./api.ts";
import { App } from "./app.tsx";
import { listenForKeys } from "./keys.ts";
import { emptyConversation, isNarrow, whenNarrow } from "./library.ts";
import { fetchReading, whenReading } from "./reading_script.ts";
import { Store } from "./state.ts";

const actions = new Actions(
  new Store({
    models: [],
    model: "",
    capabilities: [],
    keeping: { kind: "loading" },
    open: emptyConversation(false),
    list: [],
    total: 0,
    folders: [],
    folder: undefined,
    temporaries: [],
    query: "",
    hits: undefined,
    passages: [],
    running: [],
    attachments: [],
    sources: [],
    images: [],
    panel: "none",
    notice: undefined,
    link: undefined,
    theme: "system",
    singleKeys: true,
    sidebar: !isNarrow(),
  }),
);
/** The address without a launch secret, which is shown to the proxy. */
async function entered(): Promise<string> {
  const { hash } = location;
  // The secret leaves the address, and the history with it, before anything else.
  if (hash.startsWith("#launch=")) history.replaceState(null, "", location.pathname);
  return await enter(hash).catch((error) => {
    actions.fail(error);
    return "";
  });
}
const rest = await entered();
// What is asked for comes while the rest is drawn.
const started = actions.start(rest);
render(<App actions={actions} />, document.getElementById("app")!);
listenForKeys(actions);
whenNarrow(() => actions.store.set({ sidebar: false }));
whenReading(() => actions.store.set({}));
await started;
// The page changes the address without this event: here is who put another one into this tab.
addEventListener("hashchange", async () => {
  const isLaunch = location.hash.startsWith("#launch=");
  const rest = await entered();
  await (isLaunch ? actions.askAgain() : actions.follow(rest));
});
await fetchReading();
