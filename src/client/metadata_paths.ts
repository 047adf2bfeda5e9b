/** What is asked of the gateway itself, unsealed and with a proof: nothing in it is a conversation. */

/** Methods and path patterns; proxy and library go by the same table. */
export const METADATA_PATHS: readonly (readonly [methods: readonly string[], path: RegExp])[] = [
  [["GET", "HEAD"], /^\/$/],
  [["GET", "HEAD"], /^\/healthz$/],
  [["GET", "HEAD"], /^\/api\/version$/],
  [["GET", "HEAD"], /^\/api\/tags$/],
  [["GET"], /^\/api\/ps$/],
  [["POST"], /^\/api\/show$/],
  [["GET"], /^\/v1\/models$/],
  [["GET"], /^\/v1\/models\/[A-Za-z0-9._:\/%-]{1,350}$/],
  [["GET"], /^\/api\/security\/status$/],
];

/** Whether a request is for the gateway itself. */
export function isMetadata(method: string, path: string): boolean {
  return METADATA_PATHS.some(([methods, pattern]) =>
    methods.includes(method) && pattern.test(path)
  );
}
