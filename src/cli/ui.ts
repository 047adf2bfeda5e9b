/** `secllama ui`: the page to type in, with whatever it needs: the serve or proxy that runs, else one that ends with this command. */
import { askLocalProxy, type LocalProxy, NoOwnProxy } from "../app/local_proxy.ts";
import { pageAddress } from "../app/page_launch.ts";
import { ROUTES } from "../api/routes.ts";
import { EXIT } from "../errors.ts";
import { listPairings } from "../keys/mod.ts";
import { openInBrowser } from "./browser.ts";
import { type Command, type CommandContext, flag } from "./command.ts";
import { PAIRING_OPTIONS } from "./pairings.ts";
import { runProxy } from "./proxy.ts";
import { runServe, serveCommand } from "./serve.ts";
import { readSettings } from "./settings.ts";

/** Of `serve`'s options those that make no sense here. */
const { "no-proxy": _, quiet: _quiet, "ready-fd": _fd, ...SERVE_OPTIONS } = serveCommand.options;

export const uiCommand: Command = {
  path: ["ui"],
  summary: "Open the page to type in, and start what it needs",
  example: "secllama ui",
  options: {
    ...SERVE_OPTIONS,
    use: PAIRING_OPTIONS.use,
    local: PAIRING_OPTIONS.local,
    "no-open": { type: "boolean", help: "print the address, open no browser" },
  },
  details:
    `Uses the serve or the proxy that runs. Else it starts one, which ends with this command: on a machine that is paired with a
gateway elsewhere the proxy, else serve. The page is this machine's proxy's in any case. See secllama help page`,
  async run(context) {
    const { config, dataDir } = await readSettings(context);
    const show = (port: number) => showPage(context, dataDir, port);
    const at = { hostname: "127.0.0.1", port: config.proxyPort, dataDir };
    if (config.proxyPort !== 0 && await runs(at, context.signal)) {
      await show(config.proxyPort);
      return EXIT.ok;
    }
    const paired = flag(context, "local") ? false : context.values["use"] !== undefined ||
      (await listPairings(dataDir)).some(({ current }) => current);
    const ready = (url: string) => show(Number(new URL(url).port));
    return paired ? await runProxy(context, ready) : await runServe(context, ready);
  },
};

/** Whether this user's proxy is there. @throws {SecLlamaError} `peer-refused` for what is not: nothing was sent to it. */
async function runs(proxy: LocalProxy, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await askLocalProxy(proxy, {
      method: "GET",
      path: ROUTES.version.path,
      signal,
    });
    await answer.body?.cancel();
    return true;
  } catch (error) {
    if (error instanceof NoOwnProxy && error.code === "gateway-unreachable") return false;
    throw error;
  }
}

async function showPage(context: CommandContext, dataDir: string, port: number): Promise<void> {
  const url = await pageAddress(dataDir, port);
  const opened = !flag(context, "no-open") && await openInBrowser(url, context.env);
  // The secret of its fragment is for a browser: it is printed only where none took it.
  context.tui.out(opened ? `opened ${url.split("#")[0]}` : url);
}
