/// <reference lib="dom" />
/**
 * TeX as MathML. Of the tree that maths_tree.ts makes of it the elements, attributes and styles that are named here become the page's,
 * one by one: no HTML is made.
 */
import { type ComponentChildren, h } from "preact";
import { useMemo } from "preact/hooks";
import type { MathsNode } from "./maths_tree.ts";
import { reading } from "./reading_script.ts";
import { visibleOf } from "./visible.ts";

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
/** Operators that are only meant, as the one between a function and what it is of: they have no width. */
const MEANT = /^[\u2061-\u2064]$/;

/** A node as an element of the page. */
export function elementOf(node: MathsNode): ComponentChildren {
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
  const script = reading();
  const made = useMemo(() => {
    const tree = script?.treeOf(tex, display);
    return tree && elementOf(tree);
  }, [tex, display, script]);
  if (made === undefined) {
    return <code>{visibleOf(raw.trim())}</code>;
  }
  return display
    ? <span class="maths" tabIndex={0} role="group" aria-label="formula">{made}</span>
    : <span class="maths-inline">{made}</span>;
}
