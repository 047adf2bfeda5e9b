/** How a schema is refused: always by the keyword, and where it stands. */
import type { Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";

/** What a part of a schema cannot be, before it is known which keyword asked for it. */
export class Inexpressible extends Error {}

/** @throws {SecLlamaError} `bad-request`, such as: the JSON schema's "pattern" at #/properties/a: look-behind is not read */
export function refuse(keyword: string, pointer: string, why: string): never {
  const where = pointer.length > 200 ? pointer.slice(0, 199) + "…" : pointer;
  const shown = keyword.length > 60 ? keyword.slice(0, 59) + "…" : keyword;
  throw new SecLlamaError("bad-request", `the JSON schema's "${shown}" at ${where}: ${why}`, {
    field: "format",
  });
}

/** Runs `make`; what it cannot express is refused by keyword and place. */
export function naming<T>(keyword: string, pointer: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof Inexpressible) refuse(keyword, pointer, error.message);
    throw error;
  }
}

/** The same of work that is done in turns. */
export function* namingWork<T>(keyword: string, pointer: string, work: Work<T>): Work<T> {
  try {
    return yield* work;
  } catch (error) {
    return naming(keyword, pointer, () => {
      throw error;
    });
  }
}
