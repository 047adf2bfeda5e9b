/** The version of this program: one place, equal to deno.json's (a test compares them). */
export const VERSION = "0.1.0";

/** The day that this version got its number; the man page bears it. */
export const VERSION_DATE = "2026-11-25";
