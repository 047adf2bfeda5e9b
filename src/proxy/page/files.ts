/** The page's files: two scripts, one style, one icon, and the few lines of HTML that name them. All of them come with the program. */
import { HTML_TYPE, SCRIPT_TYPE, STYLE_TYPE } from "../../api/media_types.ts";
import { LIST_OF_PAGE } from "../../api/history.ts";
import { ROUTES } from "../../api/routes.ts";
import { utf8 } from "../../bytes.ts";
import style from "../../page/page.css" with { type: "text" };
import icon from "../../page/icon.svg" with { type: "text" };

/** What a path of the page answers with. */
export interface PageFile {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * What the browser is told besides. Nothing but our own scripts, style and requests runs; a string never becomes HTML or a script
 * (Trusted Types without a policy); no other page frames, opens or reads this one; nothing is cached.
 * CSP level 3, Trusted Types, Fetch metadata, HTML section 7.1 (COOP).
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy":
    "camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), payment=()",
  "x-frame-options": "DENY",
};

/** Of the first list, which comes while the script is read: as the script asks for it, to the letter. */
const PRELOAD =
  `<link rel="preload" as="fetch" crossorigin="anonymous" href="${ROUTES.history.path}?limit=${LIST_OF_PAGE}">
`;

/** @param listed Whether the list may be asked for at once. */
const htmlOf = (listed: boolean) =>
  `<!doctype html>
<html lang="en" translate="no">
<head>
<meta charset="utf-8">
<title>SecLlama</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="google" content="notranslate">
<meta name="color-scheme" content="light dark">
<link rel="icon" type="image/svg+xml" href="${ROUTES.pageIcon.path}">
<link rel="stylesheet" href="${ROUTES.pageStyle.path}">
${listed ? PRELOAD : ""}<script type="module" src="${ROUTES.pageScript.path}"></script>
</head>
<body>
<div id="app"></div>
<noscript>This page is a program: it needs JavaScript, all of it from this machine. Without it: secllama run</noscript>
</body>
</html>
`;

/**
 * Reads the page's scripts: `build/page.js` and `build/page_reading.js`, which a compiled program carries.
 * @param listed Whether a browser may ask for the list before it has shown who it is.
 * @returns By path; none where the scripts were not bundled.
 */
export async function pageFiles(listed: boolean): Promise<ReadonlyMap<string, PageFile>> {
  let [script, reading]: string[] = [];
  try {
    script = (await import("../../../build/page.js", { with: { type: "text" } })).default;
    reading = (await import("../../../build/page_reading.js", { with: { type: "text" } })).default;
  } catch {
    return new Map();
  }
  const file = (type: string, text: string): PageFile => ({ type, bytes: utf8(text) });
  return new Map([
    [ROUTES.root.path, file(HTML_TYPE, htmlOf(listed))],
    [ROUTES.pageScript.path, file(SCRIPT_TYPE, script)],
    [ROUTES.pageReading.path, file(SCRIPT_TYPE, reading)],
    [ROUTES.pageStyle.path, file(STYLE_TYPE, style)],
    [ROUTES.pageIcon.path, file("image/svg+xml", icon)],
  ]);
}
