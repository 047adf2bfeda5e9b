export { type Api, type ApiOptions, type CallContext, makeApi } from "./app.ts";
export type { ModelDefaults } from "./request.ts";
