/** Texts as Win32 takes them: UTF-16 with a terminating zero, command lines, environment blocks. Pure. */

/** UTF-16LE with the terminating zero. @throws {TypeError} If `text` holds a zero. */
export function wide(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError("a text for Win32 must not hold a zero");
  return utf16(text + "\0");
}

/**
 * One command line that CommandLineToArgvW and the C runtime split into `argv` again: quotes around what has a space or a quote,
 * backslashes doubled only before a quote.
 */
export function commandLine(argv: readonly string[]): string {
  return argv.map((word) => {
    if (word !== "" && !/[\s"]/.test(word)) return word;
    return `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, "$1$1")}"`;
  }).join(" ");
}

/** `NAME=value` strings, sorted by name as Windows wants them, each ended by a zero, and one zero more. */
export function environmentBlock(
  env: { readonly [name: string]: string },
): Uint8Array<ArrayBuffer> {
  const lines = Object.entries(env).sort(([a], [b]) => a.toUpperCase() < b.toUpperCase() ? -1 : 1)
    .map(([name, value]) => `${name}=${value}`);
  if (lines.some((line) => line.includes("\0"))) throw new TypeError("a variable holds a zero");
  return utf16(lines.map((line) => line + "\0").join("") + "\0");
}

function utf16(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(text.length * 2));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(i * 2, text.charCodeAt(i), true);
  return bytes;
}
