/// <reference lib="dom" />
/**
 * When something is drawn, by the browser's own clock. Playwright's `waitFor` looks 0, 20, 70, 170, 270, 770 ms after it was called,
 * so what it waits for seems to take one of these.
 */
import type { BrowserContext, Page } from "playwright-core";

/** What a page notes: unix milliseconds. */
interface Noted {
  /** When so many rows of the list were drawn. */
  rows?: number;
  /** When the search field was typed into last. */
  typed?: number;
  /** How many were found, as the page says it, and when that was drawn after the field was typed into last. */
  found?: { readonly text: string; readonly at: number };
}

type Noting = typeof globalThis & { noted: Noted };

/** Has every page of a context note it. @param rows Of the list, which are waited for. */
export async function noteDrawing(context: BrowserContext, rows: number): Promise<void> {
  await context.addInitScript((rows) => {
    const noted: Noted = (globalThis as Noting).noted = {};
    const now = () => performance.timeOrigin + performance.now();
    /** After the frame in which it is painted: a task that is put off in a frame runs once that frame is made. */
    const drawn = (act: (at: number) => void) =>
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => act(now());
        channel.port2.postMessage(0);
      });
    addEventListener("input", ({ target }) => {
      if ((target as Element).id !== "search") return;
      noted.typed = now();
      delete noted.found;
    }, true);
    new MutationObserver(() => {
      if (noted.rows === undefined && document.querySelectorAll(".sidebar .entry").length >= rows) {
        noted.rows = 0;
        drawn((at) => noted.rows = at);
      }
      const said = document.querySelector(".sidebar [role=status]")?.textContent ?? "";
      const text = /^\d+ found/.exec(said)?.[0];
      const { typed } = noted;
      if (text !== undefined && noted.found?.text !== text) {
        drawn((at) => typed === noted.typed && (noted.found = { text, at }));
      }
    }).observe(document, { childList: true, subtree: true, characterData: true });
  }, rows);
}

/** Milliseconds from `from`, unix ms, until the rows were drawn. */
export async function untilRows(page: Page, from: number): Promise<number> {
  await page.waitForFunction(() => ((globalThis as Noting).noted.rows ?? 0) > 0);
  return await page.evaluate(() => (globalThis as Noting).noted.rows!) - from;
}

/** Milliseconds from the last letter of the search until this was drawn. */
export async function untilFound(page: Page, text: string): Promise<number> {
  await page.waitForFunction((text) => (globalThis as Noting).noted.found?.text === text, text);
  return await page.evaluate(() => {
    const { found, typed } = (globalThis as Noting).noted;
    return found!.at - typed!;
  });
}

/** Where the time of a page's opening went: its requests and marks, ms after the navigation began. */
export async function timesOf(page: Page): Promise<string> {
  return await page.evaluate(() => {
    const round = Math.round;
    const rows = performance.getEntriesByType("resource").map((one) => {
      const { name, startTime, responseStart, responseEnd } = one as PerformanceResourceTiming;
      return `${new URL(name).pathname} ${round(startTime)}–${round(responseStart)}–${
        round(responseEnd)
      }`;
    });
    const [nav] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
    const paints = performance.getEntriesByType("paint").map(({ name, startTime }) =>
      `${name} ${round(startTime)}`
    );
    return [
      `request ${round(nav!.requestStart)}, answer ${round(nav!.responseStart)}–${
        round(nav!.responseEnd)
      }`,
      ...rows,
      ...paints,
    ].join("; ");
  });
}

/** A page of one row and nothing else, on a port of its own: what opening any page costs here. */
export function servesOneRow(): { readonly url: string; end(): Promise<void> } {
  const html = '<!doctype html><nav class="sidebar"><button class="entry">one</button></nav>';
  const headers = { "content-type": "text/html", "cache-control": "no-store" };
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response(html, { headers }),
  );
  return { url: `http://127.0.0.1:${server.addr.port}/`, end: () => server.shutdown() };
}
