/** All of Jinja2's built-in filters by name; `tojson` is that of transformers, which escapes nothing. */
import type { Filter } from "./filter_types.ts";
import { SEQUENCE_FILTERS } from "./sequence_filters.ts";
import { TEXT_FILTERS } from "./text_filters.ts";
import { VALUE_FILTERS } from "./value_filters.ts";

export const FILTERS: ReadonlyMap<string, Filter> = new Map(Object.entries({
  ...TEXT_FILTERS,
  ...SEQUENCE_FILTERS,
  ...VALUE_FILTERS,
  count: SEQUENCE_FILTERS.length!,
  d: VALUE_FILTERS.default!,
  e: TEXT_FILTERS.escape!,
}));
