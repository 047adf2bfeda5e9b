/// <reference lib="dom" />
/** A model's Markdown as elements. No HTML is made of it: see markdown_parts.ts. */
import type { ComponentChildren } from "preact";
import { useContext, useMemo, useState } from "preact/hooks";
import { copyText } from "./clipboard.ts";
import { safeLink } from "./links.ts";
import type { Part, Token, Tokens } from "./markdown_parts.ts";
import { Maths } from "./maths.tsx";
import type { MathsToken } from "./maths_tokens.ts";
import { Printing } from "./print.ts";
import { reading } from "./reading_script.ts";
import { blocksOf } from "./text_blocks.ts";
import { piecesOf } from "./visible.ts";

/** Of a text that is not parsed, as much at first: one line of 10 MB takes a browser seconds to lay out. */
const SHOWN = 20_000;

/** Tells who asks for a link: nothing opens by itself. */
type OnLink = (url: URL) => void;

/** A text in which nothing is hidden. */
export function Visible({ text }: { text: string }) {
  const pieces = piecesOf(text);
  if (pieces.length === 1 && typeof pieces[0] === "string") return <>{pieces[0]}</>;
  return (
    <>
      {pieces.map((piece) =>
        typeof piece === "string"
          ? piece
          : <span class="hidden-character" title="a character that is not shown">{piece.code}</span>
      )}
    </>
  );
}

/** A text of any length, its lines kept. */
export function Plain({ text }: { text: string }) {
  const [asked, setAsked] = useState(SHOWN);
  const shown = useContext(Printing) ? Infinity : asked;
  const rest = text.length - shown;
  const blocks = useMemo(() => blocksOf(rest > 0 ? text.slice(0, shown) : text), [text, shown]);
  return (
    <div class="plain" dir="auto">
      {blocks.length === 1
        ? <Visible text={blocks[0]!.text} />
        // A block of no text has no height.
        : blocks.map(({ text }) => (
          <div dir="auto">{text === "" ? <br /> : <Visible text={text} />}</div>
        ))}
      {rest > 0 && (
        <p>
          <button type="button" onClick={() => setAsked(asked * 4)}>
            Show more ({rest.toLocaleString("en")} {rest === 1 ? "character" : "characters"} left)
          </button>
        </p>
      )}
    </div>
  );
}

/** A whole message. */
export function Markdown({ text, onLink }: { text: string; onLink: OnLink }) {
  // The page is drawn anew at each token of an answer: what is complete is neither read nor compared again.
  const script = reading();
  const parts = useMemo(() => {
    const all: readonly Part[] = script?.partsOf(text) ?? [{ kind: "plain", text }];
    return all.map((part) => <MarkdownPart part={part} onLink={onLink} />);
  }, [text, script]);
  return <div class="markdown">{parts}</div>;
}

function MarkdownPart({ part, onLink }: { part: Part; onLink: OnLink }) {
  if (part.kind === "plain") return <Plain text={part.text} />;
  return <>{part.tokens.map((token) => block(token, onLink))}</>;
}

function blocks(tokens: readonly Token[] | undefined, onLink: OnLink): ComponentChildren {
  return tokens?.map((token) => block(token, onLink));
}

function block(token: Token, onLink: OnLink): ComponentChildren {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "code":
      return (
        <Code text={(token as Tokens.Code).text} language={(token as Tokens.Code).lang ?? ""} />
      );
    case "heading": {
      const { depth, tokens } = token as Tokens.Heading;
      // The page's own headings are above those of an answer.
      const Name = `h${Math.min(6, depth + 2)}` as "h3" | "h4" | "h5" | "h6";
      return <Name dir="auto">{inlines(tokens, onLink)}</Name>;
    }
    case "hr":
      return <hr />;
    case "blockquote":
      return <blockquote>{blocks((token as Tokens.Blockquote).tokens, onLink)}</blockquote>;
    case "list":
      return list(token as Tokens.List, onLink);
    case "table":
      return table(token as Tokens.Table, onLink);
    case "paragraph":
      return <p dir="auto">{inlines((token as Tokens.Paragraph).tokens, onLink)}</p>;
    case "text": {
      const { tokens, text } = token as Tokens.Text;
      return <span dir="auto">{tokens ? inlines(tokens, onLink) : <Visible text={text} />}</span>;
    }
    default:
      return isInline(token) ? inline(token, onLink) : (
        <p dir="auto">
          <Visible text={token.raw} />
        </p>
      );
  }
}

function isInline({ type }: Token): boolean {
  return /^(?:strong|em|del|codespan|br|link|image|escape|checkbox|maths)$/.test(type);
}

function list({ ordered, start, items }: Tokens.List, onLink: OnLink): ComponentChildren {
  const rows = items.map((item) => (
    <li>
      {item.task && (
        <input type="checkbox" disabled checked={item.checked === true} aria-label="done" />
      )}
      {blocks(item.tokens.filter(({ type }) => type !== "checkbox"), onLink)}
    </li>
  ));
  return ordered ? <ol start={Number(start) || 1}>{rows}</ol> : <ul>{rows}</ul>;
}

function table({ header, rows, align }: Tokens.Table, onLink: OnLink): ComponentChildren {
  const side = (i: number) => align[i] ? `align-${align[i]}` : "";
  return (
    <div class="table" tabIndex={0} role="region" aria-label="table">
      <table>
        <thead>
          <tr>
            {header.map((c, i) => <th class={side(i)} dir="auto">{inlines(c.tokens, onLink)}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {row.map((c, i) => <td class={side(i)} dir="auto">{inlines(c.tokens, onLink)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inlines(tokens: readonly Token[] | undefined, onLink: OnLink): ComponentChildren {
  return tokens?.map((token) => inline(token, onLink));
}

function inline(token: Token, onLink: OnLink): ComponentChildren {
  switch (token.type) {
    case "strong":
      return <strong>{inlines((token as Tokens.Strong).tokens, onLink)}</strong>;
    case "em":
      return <em>{inlines((token as Tokens.Em).tokens, onLink)}</em>;
    case "del":
      return <del>{inlines((token as Tokens.Del).tokens, onLink)}</del>;
    case "codespan":
      return (
        <code>
          <Visible text={(token as Tokens.Codespan).text} />
        </code>
      );
    case "br":
      return <br />;
    case "checkbox":
      return null;
    case "link":
      return link(token as Tokens.Link, onLink);
    case "image": {
      // Fetching it would tell its host that this was read.
      const { text, href } = token as Tokens.Image;
      return (
        <span class="image">
          [picture: <Visible text={text} />] <Visible text={href} />
        </span>
      );
    }
    case "maths": {
      const { tex, raw, display } = token as MathsToken;
      return <Maths tex={tex} raw={raw} display={display} />;
    }
    case "escape":
      return <Visible text={(token as Tokens.Escape).text} />;
    case "text": {
      const { tokens, raw } = token as Tokens.Text;
      return tokens ? inlines(tokens, onLink) : <Visible text={raw} />;
    }
    default:
      return <Visible text={token.raw} />;
  }
}

function link({ href, tokens, text }: Tokens.Link, onLink: OnLink): ComponentChildren {
  const url = safeLink(href);
  const shown = tokens.length > 0 ? inlines(tokens, onLink) : <Visible text={text} />;
  if (!url) {
    return (
      <span>
        {shown}{" "}
        <span class="address">
          (<Visible text={href} />)
        </span>
      </span>
    );
  }
  return (
    <button type="button" class="link" title={url.href} onClick={() => onLink(url)}>{shown}</button>
  );
}

/** A block of code, with a button that copies it. */
function Code({ text, language }: { text: string; language: string }) {
  const [copied, setCopied] = useState(false);
  const shown = useContext(Printing) ? Infinity : SHOWN * 10;
  const copy = async () => {
    setCopied(await copyText(text));
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div class="code">
      <div class="code-head">
        <span>
          <Visible text={language.slice(0, 40)} />
        </span>
        <button type="button" onClick={copy}>{copied ? "Copied" : "Copy code"}</button>
      </div>
      <pre tabIndex={0} dir="ltr"><code><Visible text={text.slice(0, shown)} /></code></pre>
    </div>
  );
}
