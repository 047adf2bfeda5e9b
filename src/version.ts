/** The version of this program: one place, equal to deno.json's (a test compares them). */
export const VERSION = "0.1.0";
