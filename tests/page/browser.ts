/** Shared by the page's tests: Debian's Chromium, one for a file, and a count of what it asks for. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { HANG_MS } from "../support/patience.ts";

export const CHROMIUM = "/usr/bin/chromium";

/** Whether Chromium is there; says so if not. */
export function hasChromium(): boolean {
  try {
    Deno.statSync(CHROMIUM);
    return true;
  } catch {
    console.error(`SKIPPED the page in a browser: there is no ${CHROMIUM}`);
    return false;
  }
}

export interface Visit {
  readonly page: Page;
  readonly browser: Browser;
  /** Addresses of every request that a page made. */
  readonly asked: string[];
  /** What the browser's console said: refusals of the content security policy among it. */
  readonly said: string[];
}

/** Opens `url` in a browser of its own, gives it to `body`, and closes all. */
export async function visit(
  url: string,
  body: (visit: Visit) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<void> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    timeout: HANG_MS,
  });
  try {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(HANG_MS);
    const asked: string[] = [];
    const said: string[] = [];
    context.on("request", (request) => asked.push(request.url()));
    context.on("console", (message) => said.push(message.text()));
    context.on("weberror", (error) => said.push(String(error.error())));
    const page = await context.newPage();
    await page.goto(url);
    await body({ page, browser, asked, said });
  } finally {
    await browser.close();
  }
}

/** Types a question and waits until its answer has come. Returns the answer's text. */
export async function askPage(page: Page, question: string): Promise<string> {
  const before = await page.locator(".message.assistant footer").count();
  await page.locator("#question").fill(question);
  await page.locator("#question").press("Enter");
  await page.locator(".message.assistant footer").nth(before).waitFor();
  return await page.locator(".message.assistant .markdown").last().innerText();
}
