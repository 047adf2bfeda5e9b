/**
 * What reads Markdown and TeX: the larger half of the page's program, a script of its own (reading_script.ts). It makes no element, and
 * touches nothing of the page.
 */
export { partsOf } from "./markdown_parts.ts";
export { treeOf } from "./maths_tree.ts";
