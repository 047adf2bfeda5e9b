/** Answers that no model says on request, put into the proxy's place in the browser. Fakes: the page that shows them is the real one. */
import type { BrowserContext, Page } from "playwright-core";
import { type } from "./browser.ts";

/** Makes the browser's requests for replies end here, with `content` as the answer. A fake. */
export async function fakeReplies(context: BrowserContext, content: () => string): Promise<void> {
  await context.route(
    /\/secllama\/page\/replies$/,
    (route) =>
      route.request().method() === "POST"
        ? route.fulfill({
          status: 201,
          json: { id: "f", conversation: "c", started: 0, done: true },
        })
        : route.fulfill({ json: { replies: [] } }),
  );
  await context.route(/\/secllama\/page\/replies\/f$/, (route) =>
    route.fulfill({
      contentType: "application/x-ndjson",
      body: [
        { receipt: { status: 200, encryption: "sealed", isolation: "strict" } },
        { message: { content: content(), thinking: content() } },
        { message: { content: "" }, done: true },
      ].map((line) => JSON.stringify(line)).join("\n"),
    }));
}

/** Shows an answer on the page. */
export async function show(page: Page, n: number): Promise<void> {
  await type(page, `question ${n}`);
  await page.locator(".message.assistant footer").nth(n).waitFor();
}
