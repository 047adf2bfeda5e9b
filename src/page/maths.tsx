/// <reference lib="dom" />
/**
 * TeX as MathML. Temml makes a tree of it, of which the elements, attributes and styles that are named here become the page's, one
 * by one: no HTML is made. What defines commands, is too large or no TeX stays a text.
 */
import { type ComponentChildren, h } from "preact";
import { useMemo } from "preact/hooks";
import temml from "temml";
import { LONGEST } from "./maths_tokens.ts";
import { visibleOf } from "./visible.ts";

/** A node of Temml's tree. */
interface Node {
  readonly type?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly children?: readonly Node[];
  readonly style?: Readonly<Record<string, unknown>>;
  readonly text?: string;
}

const ELEMENTS: ReadonlySet<string> = new Set(
  ("math mrow mi mn mo ms mspace mtext mfrac msqrt mroot mstyle merror mpadded mphantom msub msup msubsup munder mover munderover" +
    " mmultiscripts mprescripts none mtable mtr mtd").split(" "),
);
/** No links, names or colours: neither leads anywhere, and nothing is hidden. */
const ATTRIBUTES: ReadonlySet<string> = new Set(
  ("accent accentunder columnalign depth display displaystyle fence form height largeop linethickness lspace mathvariant maxsize minsize" +
    " movablelimits rowspacing rspace scriptlevel separator stretchy symmetric voffset width")
    .split(" "),
);
const STYLES = /^(?:padding|border)(?:Top|Bottom|Left|Right)?$|^textAlign$/;
const VALUE = /^[\w .%+-]{1,60}$/;
/** Of a number with a unit, and of one in em. */
const LARGEST = { em: 20, other: 200 };
/** Definitions multiply what they are given. */
const DEFINES =
  /\\(?:[egx]?def|let|futurelet|global|long|(?:re|provide)?(?:new)?command|newenvironment)(?![A-Za-z])/;
/** Operators that are only meant, as the one between a function and what it is of: they have no width. */
const MEANT = /^[\u2061-\u2064]$/;
const MOST_NODES = 4000;
const MOST_DEEP = 60;
/** Largest sizes that TeX may ask for: em, pt. */
const SIZES: [number, number] = [10, 100];

/** Its types are of another default export than its module has. */
const { __renderToMathMLTree: render } = temml as unknown as {
  __renderToMathMLTree(tex: string, options: object): Node;
};

/** The tree of a formula; undefined: it stays a text. Never throws. */
export function treeOf(tex: string, displayMode: boolean): Node | undefined {
  if (tex.length > LONGEST || DEFINES.test(tex)) return undefined;
  try {
    const options = { displayMode, throwOnError: true, maxSize: SIZES, maxExpand: 500 };
    const tree = render(tex, options);
    return countOf(tree, 0) <= MOST_NODES ? tree : undefined;
  } catch {
    return undefined;
  }
}

/** How many nodes there are; too many if they are too deep in each other. */
function countOf({ children = [] }: Node, deep: number): number {
  if (deep > MOST_DEEP) return Infinity;
  return children.reduce((sum, child) => sum + countOf(child, deep + 1), 1);
}

/** A node as an element of the page. */
export function elementOf(node: Node): ComponentChildren {
  const { type, text, attributes = {}, children = [], style = {} } = node;
  if (type === undefined && text !== undefined) {
    return visibleOf(text);
  }
  const said = children.length === 1 ? children[0]!.text ?? "" : "";
  const name = type !== undefined && ELEMENTS.has(type) ? type : "mrow";
  const kept = Object.entries(attributes).filter(([key, value]) =>
    ATTRIBUTES.has(key) && isHarmless(value)
  );
  const styles = Object.entries(style).filter(([key, value]) =>
    STYLES.test(key) && isHarmless(value)
  );
  const enclosed = type !== "menclose"
    ? {}
    : { class: /strike/.test(String(attributes["notation"])) ? "struck" : "boxed" };
  return h(
    name,
    {
      ...Object.fromEntries(kept.map(([key, value]) => [key, String(value)])),
      ...(styles.length > 0 ? { style: Object.fromEntries(styles) as Record<string, string> } : {}),
      ...enclosed,
    },
    ...(type === "mo" && MEANT.test(said) ? [said] : children.map(elementOf)),
  );
}

/** Words and sizes that leave the formula where it is: a negative one may be as far away as a large one. */
function isHarmless(value: unknown): boolean {
  const text = String(value);
  const sizes = [...text.matchAll(/(-?\d*\.?\d+)([a-z%]*)/gi)];
  return VALUE.test(text) &&
    sizes.every(([, size, unit]) =>
      Math.abs(Number(size)) <= (unit === "em" || unit === "ex" ? LARGEST.em : LARGEST.other)
    );
}

/** A formula; what is none, as it was written. */
export function Maths({ tex, raw, display }: { tex: string; raw: string; display: boolean }) {
  const made = useMemo(() => {
    const tree = treeOf(tex, display);
    return tree && elementOf(tree);
  }, [tex, display]);
  if (made === undefined) {
    return <code>{visibleOf(raw.trim())}</code>;
  }
  return display
    ? <span class="maths" tabIndex={0} role="group" aria-label="formula">{made}</span>
    : <span class="maths-inline">{made}</span>;
}
