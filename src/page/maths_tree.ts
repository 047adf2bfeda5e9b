/** TeX as a tree, which Temml makes. What defines commands, is too large or no TeX has none. */
import temml from "temml";
import { LONGEST } from "./maths_tokens.ts";

/** A node of Temml's tree. */
export interface MathsNode {
  readonly type?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly children?: readonly MathsNode[];
  readonly style?: Readonly<Record<string, unknown>>;
  readonly text?: string;
}

/** Definitions multiply what they are given. */
const DEFINES =
  /\\(?:[egx]?def|let|futurelet|global|long|(?:re|provide)?(?:new)?command|newenvironment)(?![A-Za-z])/;
const MOST_NODES = 4000;
const MOST_DEEP = 60;
/** Largest sizes that TeX may ask for: em, pt. */
const SIZES: [number, number] = [10, 100];

/** Its types are of another default export than its module has. */
const { __renderToMathMLTree: render } = temml as unknown as {
  __renderToMathMLTree(tex: string, options: object): MathsNode;
};

/** The tree of a formula; undefined: it stays a text. Never throws. */
export function treeOf(tex: string, displayMode: boolean): MathsNode | undefined {
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
function countOf({ children = [] }: MathsNode, deep: number): number {
  if (deep > MOST_DEEP) return Infinity;
  return children.reduce((sum, child) => sum + countOf(child, deep + 1), 1);
}
