/** Shared by the page's tests: a serve that keeps conversations, Debian's Chromium, and a count of what it asks for. */
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { canSee } from "../../runner/engine/testing.ts";
import { makeSeeingModel } from "../../runner/engine/testing_seeing.ts";
import { addModel } from "../support/ollama_folder.ts";
import { HANG_MS } from "../support/patience.ts";
import { makeScriptedModel, type ScriptedModelOptions } from "../support/scripted_model.ts";
import { cli, newHome, type Served, startServe } from "../support/serve.ts";

const CHROMIUM = "/usr/bin/chromium";

/** Whether the tests of the page in a browser can run; says so if not. */
export function hasChromium(): boolean {
  try {
    Deno.statSync(CHROMIUM);
    return true;
  } catch {
    console.error(`SKIPPED the page in a browser: there is no ${CHROMIUM}`);
    return false;
  }
}

/** Whether what costs many seconds of a processor is to be run too; says so if not. */
export function isFull(what: string): boolean {
  if (Deno.env.get("SECLLAMA_FULL")) return true;
  console.error(`SKIPPED ${what}: only task test:full runs it`);
  return false;
}

/** Its answers: `text`, or `endless` if it is asked `USE:endless`. Few scripts, so that no two go by the same token. */
export const SCRIPTS = {
  text: { text: "Hello from the scripted model." },
  after: { text: "Done." },
  endless: { text: "Forever", endless: true },
};

/** A serve whose key outlives it, so that conversations are kept, with the demo model and a scripted one. */
export async function serveWithHistory(
  scripts: ScriptedModelOptions["scripts"] = SCRIPTS,
): Promise<Served & AsyncDisposable & { readonly key: string }> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  if (canSee()) {
    const [model, projector] = [`${folder}/eye.gguf`, `${folder}/mmproj.gguf`];
    makeSeeingModel(model, projector);
    await addModel(folder, "eye:latest", [
      ["model", await Deno.readFile(model)],
      ["projector", await Deno.readFile(projector)],
    ]);
  }
  const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
  await addModel(folder, "scripted:latest", [
    ["model", makeScriptedModel({ scripts, tools: [] })],
    // Sampled, a script may break off.
    ["params", { temperature: 0 }],
  ]);
  const served = await startServe({
    args: [],
    // Receipts are lines of the audit log.
    env: { SECLLAMA_KEY: key, OLLAMA_MODELS: folder, SECLLAMA_AUDIT: "on" },
  });
  return {
    ...served,
    key,
    async [Symbol.asyncDispose]() {
      await served.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Addresses of every request that a page made. */
  readonly asked: string[];
  /** What the browser's console said: refusals of the content security policy among it. */
  readonly said: string[];
}

/** One serve and one browser, which steps share: each in a context of its own. */
export interface Place {
  readonly url: string;
  /** The home folder of the user who serves. */
  readonly home: string;
  /** What this user's commands are given as key. */
  readonly key: string;
  readonly browser: Browser;
}

/** Starts both for `body`, at the address that `secllama ui` prints. */
export async function withPlace(body: (place: Place) => Promise<void>): Promise<void> {
  await using served = await serveWithHistory();
  const url = await addressOfUi(served);
  const browser = await launch([]);
  try {
    await body({ url, home: served.home, key: served.key, browser });
  } finally {
    await browser.close();
  }
}

/** What a newcomer types, and gets an address from. */
async function addressOfUi({ home, proxyUrl }: Served): Promise<string> {
  const { env } = await newHome();
  const { port } = new URL(proxyUrl);
  const said = await cli(["ui", "--no-open", "--proxy-port", port], {
    env: { ...env, HOME: home },
  });
  if (said.code !== 0) throw new Error(said.stderr);
  return said.stdout.trim();
}

function launch(args: readonly string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", ...args],
    timeout: HANG_MS,
  });
}

/** A browser for several visits, which ends with its scope. */
export function startBrowser(): Promise<Browser> {
  return launch([]);
}

export interface VisitOptions extends BrowserContextOptions {
  /** One that is there already; else one is started. */
  readonly browser?: Browser;
  /** More arguments of Chromium's. */
  readonly args?: readonly string[];
  /** Called before the first page is opened. */
  readonly before?: (context: BrowserContext) => Promise<void>;
}

/** Opens `url`, gives it to `body`, and closes all that was opened for it. */
export async function visit(
  url: string,
  body: (visit: Visit) => Promise<void>,
  { args = [], before, browser: shared, ...options }: VisitOptions = {},
): Promise<void> {
  const browser = shared ?? await launch(args);
  const context = await browser.newContext(options);
  try {
    context.setDefaultTimeout(HANG_MS);
    context.setDefaultNavigationTimeout(HANG_MS);
    const [asked, said]: [string[], string[]] = [[], []];
    context.on("request", (request) => asked.push(request.url()));
    context.on("console", (message) => said.push(message.text()));
    context.on("weberror", (error) => said.push(String(error.error())));
    await before?.(context);
    const page = await context.newPage();
    await page.goto(url);
    await body({ page, context, asked, said });
  } finally {
    await (shared ? context : browser).close();
  }
}

/** Chromium with a profile on the disk, which is there after `body` too. */
export async function visitWithProfile(
  url: string,
  profile: string,
  body: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    timeout: HANG_MS,
  });
  try {
    context.setDefaultTimeout(HANG_MS);
    const page = await context.newPage();
    await page.goto(url);
    await body(page);
  } finally {
    await context.close();
  }
}

/** Waits until the models are there, and takes one. */
export async function chooseModel(page: Page, name: string): Promise<void> {
  await page.locator("#model option").first().waitFor({ state: "attached" });
  await page.locator("#model").selectOption(`${name}:latest`);
}

/** Drops a file on the page. */
export async function dropFile(
  page: Page,
  name: string,
  type: string,
  bytes: Uint8Array,
): Promise<void> {
  const dataTransfer = await page.evaluateHandle(({ name, type, base64 }) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    return transfer;
  }, { name, type, base64: bytes.toBase64() });
  await page.dispatchEvent(".page", "drop", { dataTransfer });
}

/** Types a question and sends it. */
export async function type(page: Page, question: string): Promise<void> {
  await page.locator("#question").fill(question);
  await page.locator("#question").press("Enter");
}

/** Types a question and waits until its answer has come. Returns the answer's text. */
export async function askPage(page: Page, question: string): Promise<string> {
  await page.locator("#model option").first().waitFor({ state: "attached" });
  await type(page, question);
  await page.locator(".message.user", { hasText: question }).last().waitFor();
  const last = page.locator(".message.assistant").last();
  await last.locator("footer").waitFor();
  return await last.locator(".markdown").innerText();
}
