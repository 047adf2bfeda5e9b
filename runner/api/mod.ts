/** The API inside the runner, without what its dialects are made of. */
export { type Api, type ApiOptions, type CallContext, makeApi } from "./app.ts";
export type { ModelDefaults } from "./request.ts";
export type { UsedMessage, UsedTokens } from "../../src/api/pipe_messages.ts";
