/** Searching a live process's memory for known bytes, as root. Linux only. */

import { lettersOf } from "./letters.ts";

/** The forms in which text could lie in memory or on a wire. */
export function formsOf(text: string): { name: string; bytes: Uint8Array }[] {
  const utf8 = new TextEncoder().encode(text);
  const utf16 = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i++) {
    utf16[2 * i] = text.charCodeAt(i) & 255;
    utf16[2 * i + 1] = text.charCodeAt(i) >>> 8;
  }
  const forms = [
    { name: "UTF-8", bytes: utf8 },
    { name: "UTF-16", bytes: utf16 },
    { name: "JSON-escaped", bytes: new TextEncoder().encode(JSON.stringify(text).slice(1, -1)) },
    {
      name: "JSON with every character escaped",
      bytes: new TextEncoder().encode(
        [...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
      ),
    },
  ];
  // base64 depends on where in a group of three the text begins; the ends that depend on neighbours are cut off.
  for (let shift = 0; shift < 3; shift++) {
    const padded = new Uint8Array(shift + utf8.length);
    padded.set(utf8, shift);
    const inner = padded.toBase64().replace(/=+$/, "").slice(shift === 0 ? 0 : 4, -4);
    forms.push({ name: `base64 at ${shift}`, bytes: new TextEncoder().encode(inner) });
  }
  return forms;
}

/** Names of the forms of `text` that `haystack` holds. */
export function findIn(haystack: Uint8Array, text: string): string[] {
  const hay = lettersOf(haystack);
  return formsOf(text).filter((f) => hay.includes(lettersOf(f.bytes))).map((f) => f.name);
}

const PAGE_BYTES = 4096;
/** proc(5), /proc/PID/pagemap: the page is in memory, or on swap. */
const IN_MEMORY_OR_SWAP = 0b11 << 30;

/** The parts of a range whose pages are there, as [start, end): of what V8 reserves, nine tenths never are. */
async function pagesThere(
  pagemap: Deno.FsFile,
  start: bigint,
  end: bigint,
): Promise<[start: bigint, end: bigint][]> {
  const pages = Number(end - start) / PAGE_BYTES;
  const entries = new Uint8Array(pages * 8);
  await pagemap.seek(start / BigInt(PAGE_BYTES) * 8n, Deno.SeekMode.Start);
  for (let got = 0; got < entries.length;) {
    const part = await pagemap.read(entries.subarray(got));
    if (part === null) throw new Error("the page map ends before the range does");
    got += part;
  }
  const words = new Uint32Array(entries.buffer);
  const found: [bigint, bigint][] = [];
  for (let page = 0; page < pages; page++) {
    if ((words[2 * page + 1]! & IN_MEMORY_OR_SWAP) === 0) continue;
    const first = page;
    while (page < pages && (words[2 * page + 1]! & IN_MEMORY_OR_SWAP) !== 0) page++;
    found.push([
      start + BigInt(first * PAGE_BYTES),
      start + BigInt(page * PAGE_BYTES),
    ]);
  }
  return found;
}

/** Names of the forms of each text found in the readable, writable memory of a process. Root only. */
export async function findInMemory(
  pid: number,
  texts: readonly string[],
): Promise<Map<string, Set<string>>> {
  const found = new Map(texts.map((t) => [t, new Set<string>()]));
  const needles = texts.flatMap((text) =>
    formsOf(text).map(({ name, bytes }) => ({ text, name, letters: lettersOf(bytes) }))
  );
  const overlap = Math.max(...needles.map((n) => n.letters.length));
  // smaps says which ranges have pages at all, and pagemap which pages.
  const ranges = [...(await Deno.readTextFile(`/proc/${pid}/smaps`)).matchAll(
    /^([0-9a-f]+)-([0-9a-f]+) rw[^]*?^Rss: +(\d+) kB/gm,
  )].filter((m) => m[3] !== "0").map((m) => [BigInt("0x" + m[1]), BigInt("0x" + m[2])] as const);
  const block = new Uint8Array(4 * 1024 * 1024 + overlap);
  using memory = await Deno.open(`/proc/${pid}/mem`);
  using pagemap = await Deno.open(`/proc/${pid}/pagemap`);
  let readBytes = 0;
  for (const range of ranges) {
    for (const [start, end] of await pagesThere(pagemap, ...range)) {
      for (let at = start; at < end; at += 4n * 1024n * 1024n) {
        let n: number | null = 0;
        try {
          await memory.seek(at, Deno.SeekMode.Start);
          const size = Number(end - at < BigInt(block.length) ? end - at : BigInt(block.length));
          for (let got = 0; got < size;) {
            const part = await memory.read(block.subarray(got, size));
            if (part === null) break;
            got += part;
            n = got;
          }
        } catch {
          if (!n) break; // its pages have gone meanwhile
        }
        readBytes += n ?? 0;
        const hay = lettersOf(block.subarray(0, n ?? 0));
        for (const { text, name, letters } of needles) {
          if (!found.get(text)!.has(name) && hay.includes(letters)) found.get(text)!.add(name);
        }
      }
    }
  }
  if (readBytes < 1024 * 1024) {
    throw new Error(`only ${readBytes} bytes of process ${pid} could be read`);
  }
  return found;
}
