/** Seconds of the long test files on a fresh clone; what a run measured replaces them. See CONTRIBUTING.md. */
export const FIRST_SECONDS: Readonly<Record<string, number>> = {};
