/** Pauses of long work in the history's thread, which serves conversations too: they come first. */

/** Ends once what came meanwhile was answered. */
export function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
