/** Links of a model's. */

/** A link that may be offered; undefined: anything but http, https and mailto. */
export function safeLink(href: string): URL | undefined {
  let url: URL;
  try {
    url = new URL(href);
  } catch {
    return undefined;
  }
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url : undefined;
}
