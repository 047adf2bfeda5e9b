/** Settings that do nothing are said, each; those that do something are not. */
import assert from "node:assert/strict";
import { loadConfig } from "../config/config.ts";
import { idleSettings } from "./idle_settings.ts";

const ISSUER = { SECLLAMA_OIDC_ISSUER: "https://login.firm.example" };
const ROLES = { SECLLAMA_OIDC_ROLES: "ml=staff,interns=trial,all=trial" };
const SYSLOG = { SECLLAMA_AUDIT_SYSLOG: "tls://logs.example" };
const OTLP = { SECLLAMA_AUDIT_OTLP: "https://collector.example" };
const all = new Set(["staff", "trial"]);

Deno.test("idle settings: a sink without a record, a sign-in that nobody passes: each is said", () => {
  const said = (
    env: Record<string, string>,
    known: Partial<Parameters<typeof idleSettings>[1]> = {},
  ) => idleSettings(loadConfig({ env }), { ephemeral: false, roles: all, ...known }).join("\n");
  for (const env of [{}, { ...ISSUER, ...ROLES }, { SECLLAMA_AUDIT: "on", ...SYSLOG, ...OTLP }]) {
    assert.equal(said(env), "", JSON.stringify(env));
  }
  assert.equal(said({ SECLLAMA_AUDIT: "lenient", ...SYSLOG }), "");
  assert.match(said(SYSLOG), /^nothing is sent by SECLLAMA_AUDIT_SYSLOG: .*SECLLAMA_AUDIT=on/);
  assert.match(said({ ...SYSLOG, ...OTLP }), /SECLLAMA_AUDIT_SYSLOG and SECLLAMA_AUDIT_OTLP/);
  assert.match(
    said(ROLES),
    /^nobody can sign in: SECLLAMA_OIDC_ROLES without SECLLAMA_OIDC_ISSUER$/,
  );
  assert.match(said({ SECLLAMA_OIDC_DEVICE: "true" }), /SECLLAMA_OIDC_DEVICE without/);
  assert.match(said(ISSUER), /SECLLAMA_OIDC_ROLES names no group/);
  assert.match(said({ ...ISSUER, ...ROLES }, { ephemeral: true }), /the key is in memory only/);
  const missing = said({ ...ISSUER, ...ROLES }, { roles: new Set(["staff"]) });
  assert.match(missing, /^who is to have the role trial .*secllama role set trial\)$/);
  assert.equal(said({ ...ISSUER, ...ROLES }, { roles: undefined }), "", "nobody can tell");
});
