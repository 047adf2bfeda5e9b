/** HTML escaping, as `markupsafe` does it. */
import { str } from "./convert.ts";
import { type Costs, Markup, type Value } from "./values.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  ">": "&gt;",
  "<": "&lt;",
  "'": "&#39;",
  '"': "&#34;",
};

export function escapeText(text: string): string {
  return text.replace(/[&><'"]/g, (char) => ENTITIES[char] as string);
}

/** What is marked as safe stays as it is. */
export function escapeHtml(value: Value, costs: Costs): Markup {
  if (value instanceof Markup) return value;
  const text = escapeText(str(value, costs));
  costs.charge(text.length);
  return new Markup(text);
}
