/**
 * What a person waits for on the page over a history of 10,000 conversations with 20 messages each, in Debian's Chromium over a real
 * gateway and proxy: the list, a search; what the proxy takes for it; and an import of 100 MB while somebody else asks for the list.
 * Times are on the clock: an idle machine is needed.
 *
 *     deno run -A --config tests/deps.json bench/page_bench.ts [CONVERSATIONS [MEGABYTES]]
 */
import { cpus } from "node:os";
import { Apart } from "../tests/page/apart.ts";
import type { Browser, Page } from "playwright-core";
import { startBrowser, visit } from "../tests/page/browser.ts";
import { noteDrawing, servesOneRow, timesOf, untilFound, untilRows } from "./page_timing.ts";
import { textsOf } from "./zipf.ts";

const [conversations = 10_000, megabytes = 100] = Deno.args.map(Number);
const MESSAGES = 20;
const PART = 1000;
const text = textsOf(30_000);
const RARE = "kestrelweather";

function row(name: string, value: string): void {
  console.log(`${name.padEnd(56)} ${value}`);
}

const ms = (from: number) => `${Math.round(performance.now() - from)} ms`;

/** Resident memory of a process, MB. */
function resident(pid: number): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
  return Math.round(Number(kib) * 1024 / 1e6);
}

/** A file of ChatGPT's form. @param times Whether its conversations have one of their own. */
function exportOf(first: number, count: number, words: number): Uint8Array<ArrayBuffer> {
  const all = Array.from({ length: count }, (_, i) => ({
    title: text(6),
    create_time: 1_700_000_000 + (first + i) * 60,
    mapping: Object.fromEntries(Array.from({ length: MESSAGES }, (_, m) => [`m${m}`, {
      id: `m${m}`,
      parent: m === 0 ? null : `m${m - 1}`,
      message: {
        author: { role: m % 2 === 0 ? "user" : "assistant" },
        content: { parts: [text(words) + (first + i === 17 && m === 9 ? ` ${RARE}` : "")] },
      },
    }])),
  }));
  return new TextEncoder().encode(JSON.stringify(all));
}

/** Processor time of a process so far, in ticks of a hundredth of a second (proc_pid_stat(5)). */
function processorTicks(pid: number): number {
  const [, rest] = /\) (.*)/.exec(Deno.readTextFileSync(`/proc/${pid}/stat`))!;
  const fields = rest!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function take(url: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const answer = await fetch(`${url}/secllama/history/import`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: bytes,
  });
  return JSON.stringify(await answer.json());
}

console.log(`${cpus()[0]!.model}, ${cpus().length} cores, load ${Deno.loadavg()[0]!.toFixed(1)}`);

/** A home with so many conversations, and its gateway. */
async function filled(count: number) {
  const place = await Apart.make();
  const gateway = await place.gateway();
  const proxy = await place.proxy(gateway.url);
  for (let at = 0; at < count; at += PART) {
    await take(proxy.url, exportOf(at, Math.min(PART, count - at), 60));
  }
  proxy.kill("SIGTERM");
  await proxy.ended;
  // The first start after that keeps the history's register, as on any day but the first.
  const next = await place.proxy(gateway.url);
  await untilCalm(next.url, next.pid);
  next.kill("SIGTERM");
  await next.ended;
  return { place, gateway };
}

/** Until a proxy computes nothing any more. */
async function untilCalm(url: string, pid: number): Promise<void> {
  await (await fetch(`${url}/secllama/history?limit=1`)).text();
  for (let [before, calm] = [-1, 0]; calm < 3;) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const now = processorTicks(pid);
    calm = now - before <= 1 ? calm + 1 : 0;
    before = now;
  }
}

const ROWS = Math.min(conversations, 50);
const few = await filled(ROWS);
await using fewPlace = few.place;
const all = await filled(conversations);
await using place = all.place;
const { gateway } = all;
/** Opens a page in a new context of a browser; says how long until so many rows were drawn. */
async function opened(
  url: string,
  rows: number,
  browser: Browser,
  more: (page: Page) => Promise<void> = async () => {},
): Promise<number> {
  let took = 0;
  await visit("about:blank", async ({ page, context }) => {
    await noteDrawing(context, rows);
    const from = Date.now();
    await page.goto(url);
    took = await untilRows(page, from);
    await more(page);
  }, { browser });
  return took;
}

const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[all.length >> 1]!;

/** Opens it once in a browser that was just started, and again in others of its windows. */
async function openings(name: string, url: string, rows: number, browser: Browser): Promise<void> {
  let times = "";
  const first = await opened(
    url,
    rows,
    browser,
    async (page) => void (times = await timesOf(page)),
  );
  const later: number[] = [];
  for (let i = 0; i < 9; i++) {
    later.push(
      await opened(url, rows, browser, async (page) => void (times = await timesOf(page))),
    );
  }
  const list = later.map(Math.round).join(" ");
  row(name, `${Math.round(first)} ms, then ${Math.round(median(later))} ms (${list})`);
  console.log(`    the last: ${times}`);
}

/** One start of the proxy, and what a person does. @param waits Whether the proxy has had time to open what lies sealed. */
async function visited(waits: boolean): Promise<void> {
  const when = waits ? "once it is opened" : "at once after the proxy's start";
  await using browser = await startBrowser();
  await opened(floor.url, 1, browser);
  const proxy = await place.proxy(gateway.url);
  const before = resident(proxy.pid);
  if (waits) {
    await untilCalm(proxy.url, proxy.pid);
    await openings(`the page, ${when}, until its list is drawn`, proxy.url, ROWS, browser);
  } else {
    row(
      `the page, ${when}, until its list is drawn`,
      `${Math.round(await opened(proxy.url, ROWS, browser))} ms`,
    );
  }
  await opened(proxy.url, ROWS, browser, async (page) => {
    for (
      const [name, word, found] of [
        ["a rare word", RARE, "1 found"],
        ["a word that is nowhere", "quetzalcoatl", "0 found"],
        ["the rare word again", RARE, "1 found"],
      ] as const
    ) {
      await page.locator("#search").fill("");
      await page.locator("#search").fill(word);
      row(`search, ${when}: ${name}, pasted`, `${Math.round(await untilFound(page, found))} ms`);
    }
    await page.locator("#search").fill("");
    await page.locator("#search").pressSequentially(RARE, { delay: 80 });
    const took = await untilFound(page, "1 found");
    row(`search, ${when}: a rare word, after its last letter`, `${Math.round(took)} ms`);
  });
  row(`memory of the proxy, ${when}`, `${before} MB, then ${resident(proxy.pid)} MB`);
  proxy.kill("SIGTERM");
  await proxy.ended;
}
/** What the browser itself takes on this machine: a page of one row. */
const floor = servesOneRow();
{
  await using browser = await startBrowser();
  await openings("a page that has one row, and no script", floor.url, 1, browser);
}
for (let i = 0; i < 3; i++) {
  await using browser = await startBrowser();
  await opened(floor.url, 1, browser);
  const proxy = await fewPlace.proxy(few.gateway.url);
  const took = Math.round(await opened(proxy.url, ROWS, browser));
  row(`the page, at once after the proxy's start, of ${ROWS} in all`, `${took} ms`);
  proxy.kill("SIGTERM");
  await proxy.ended;
}
for (let i = 0; i < 3; i++) await visited(false);
await visited(true);
await floor.end();

// Bytes of a conversation of this kind, which are counted rather than known.
const PROBE = 100;
const size = exportOf(0, PROBE, 600).length / PROBE;
const file = exportOf(1_000_000, Math.ceil(megabytes * 1e6 / size), 600);
{
  const proxy = await place.proxy(gateway.url);
  await (await fetch(`${proxy.url}/secllama/history?limit=1`)).text();
  const before = resident(proxy.pid);
  const begun = performance.now();
  let [done, most, longest, lists] = [false, 0, 0, 0];
  const taking = take(proxy.url, file).finally(() => done = true);
  while (!done) {
    const asked = performance.now();
    await (await fetch(`${proxy.url}/secllama/history?limit=1`)).text();
    longest = Math.max(longest, performance.now() - asked);
    most = Math.max(most, resident(proxy.pid));
    lists++;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  row(`an import of ${Math.round(file.length / 1e6)} MB: ${await taking}`, ms(begun));
  row(`meanwhile ${lists} lists, the longest`, `${Math.round(longest)} ms`);
  row("memory of the proxy", `${before} MB, at most ${most} MB`);
  proxy.kill("SIGTERM");
  await proxy.ended;
}
