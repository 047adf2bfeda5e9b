/** Roles of messages, as templates write them. */

/**
 * A role may become part of a control token (`"<|" + role + "|>"`), so that these alone stand in a prompt as a template's own words;
 * any other is a user's text.
 */
export const ROLES: ReadonlySet<string> = new Set([
  "system",
  "user",
  "assistant",
  "tool",
  "developer",
  "function",
  "ipython",
  "model",
  "control",
]);
