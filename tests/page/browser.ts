/** Shared by the page's tests: a serve that keeps conversations, Debian's Chromium, and a count of what it asks for. */
import {
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { addModel } from "../support/ollama_folder.ts";
import { HANG_MS } from "../support/patience.ts";
import { makeScriptedModel } from "../support/scripted_model.ts";
import { type Served, startServe } from "../support/serve.ts";

const CHROMIUM = "/usr/bin/chromium";

/**
 * Whether the tests of the page in a browser can run; says so if not. Only in full runs for now: under load two of them were seen to
 * wait for what never came, and why was not found.
 */
export function hasChromium(): boolean {
  if (!Deno.env.get("SECLLAMA_FULL")) {
    console.error("SKIPPED the page in a browser: only task test:full runs it");
    return false;
  }
  try {
    Deno.statSync(CHROMIUM);
    return true;
  } catch {
    console.error(`SKIPPED the page in a browser: there is no ${CHROMIUM}`);
    return false;
  }
}

/** Its answers: `text`, or `endless` if it is asked `USE:endless`. Few scripts, so that no two go by the same token. */
const SCRIPTS = {
  text: { text: "Hello from the scripted model." },
  after: { text: "Done." },
  endless: { text: "Forever", endless: true },
};

/** A serve whose key outlives it, so that conversations are kept, with the demo model and a scripted one. */
export async function serveWithHistory(): Promise<Served & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const key = crypto.getRandomValues(new Uint8Array(32)).toBase64();
  await addModel(folder, "scripted:latest", [
    ["model", makeScriptedModel({ scripts: SCRIPTS, tools: [] })],
    // Sampled, a script may break off.
    ["params", { temperature: 0 }],
  ]);
  const served = await startServe({
    args: [],
    env: { SECLLAMA_KEY: `sl1:${key}`, OLLAMA_MODELS: folder },
  });
  return {
    ...served,
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

export interface VisitOptions extends BrowserContextOptions {
  /** More arguments of Chromium's. */
  readonly args?: readonly string[];
  /** Called before the first page is opened. */
  readonly before?: (context: BrowserContext) => Promise<void>;
}

/** Opens `url` in a browser of its own, gives it to `body`, and closes all. */
export async function visit(
  url: string,
  body: (visit: Visit) => Promise<void>,
  { args = [], before, ...options }: VisitOptions = {},
): Promise<void> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", ...args],
    timeout: HANG_MS,
  });
  try {
    const context = await browser.newContext(options);
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
    await browser.close();
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
