/**
 * packaging/balancers/envoy.yaml against the types of Envoy's API, and against what HAProxy's file beside it says. Debian has no
 * Envoy: it was not run.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "../support/serve.ts";

type Fields = Readonly<Record<string, string>>;
const { types, enums }: {
  types: Readonly<Record<string, Fields>>;
  enums: Readonly<Record<string, readonly string[]>>;
} = JSON.parse(
  await Deno.readTextFile(join(ROOT, "tests/golden/envoy_types.json")),
);

/** What is no message: protobuf's own form of it in JSON. */
const SCALARS: Readonly<Record<string, (value: unknown) => boolean>> = {
  "string": (value) => typeof value === "string",
  "bool": (value) => typeof value === "boolean",
  "google.protobuf.BoolValue": (value) => typeof value === "boolean",
  "uint32": isCount,
  "google.protobuf.UInt32Value": isCount,
  "int32": Number.isInteger,
  "int64": Number.isInteger,
  "google.protobuf.Duration": (value) => /^\d+(\.\d{1,9})?s$/.test(String(value)),
};

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}

/** What is wrong with a message of this type. */
function faults(type: string, value: unknown, at = ""): string[] {
  if (type === "google.protobuf.Any") {
    const { "@type": url, ...rest } = Object(value);
    return faults(String(url).replace(/^type\.googleapis\.com\//, ""), rest, at);
  }
  const scalar = SCALARS[type];
  if (scalar !== undefined) return scalar(value) ? [] : [`${at}: no ${type}`];
  const named = enums[type];
  if (named !== undefined) return named.includes(String(value)) ? [] : [`${at}: no ${type}`];
  const fields = types[type];
  if (fields === undefined) return [`${at}: no type ${type}`];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [`${at}: no map`];
  const chosen = new Set<string>();
  return Object.entries(value).flatMap(([name, one]) => {
    const [, kind, of, choice] = /^(repeated )?([\w.]+)(?: (\w+))?$/.exec(fields[name] ?? "") ?? [];
    if (of === undefined) return [`${at}.${name}: no field of ${type}`];
    if (choice !== undefined && chosen.has(choice)) {
      return [`${at}.${name}: one ${choice} too many`];
    }
    if (choice !== undefined) chosen.add(choice);
    if (kind === undefined) return faults(of, one, `${at}.${name}`);
    if (!Array.isArray(one)) return [`${at}.${name}: no list`];
    return one.flatMap((each, i) => faults(of, each, `${at}.${name}[${i}]`));
  });
}

const BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap";
const text = await Deno.readTextFile(join(ROOT, "packaging/balancers/envoy.yaml"));
// Envoy's parser knows anchors, and no merge key: `<<` is a field like any other (github.com/envoyproxy/envoy/issues/12926).
const read = (yaml: string) => parse(yaml, { merge: false, uniqueKeys: true });

Deno.test("envoy: the file is what the types of Envoy's API say", () => {
  // Controls: a field that there is not, a merge, and values of another kind.
  const edits: readonly (readonly [RegExp, string, RegExp])[] = [
    [/num_retries: 2/, "num_retry: 2", /num_retry: no field/],
    [/cluster: all,/, "<<: *unless_reached,", /<<: no field/],
    [/num_retries: 2/, "num_retries: two", /no google.protobuf.UInt32Value/],
    [/interval: 2s/, "interval: 2", /interval: no google.protobuf.Duration/],
    [/LEAST_REQUEST/, "LEAST_CONN", /no envoy.config.cluster.v3.Cluster.LbPolicy/],
    [/router\.v3\.Router/, "router.v3.Routes", /no type .*Routes/],
    [/prefix: "\/" }/, 'prefix: "/", path: "/" }', /one path_specifier too many/],
  ];
  for (const [what, by, said] of edits) {
    const edited = text.replace(what, by);
    assert.notEqual(edited, text, String(what));
    assert.match(faults(BOOTSTRAP, read(edited)).join("\n"), said);
  }
  assert.deepEqual(faults(BOOTSTRAP, read(text)), []);
});

Deno.test("envoy: each runner's name leads to its host first, as with HAProxy", async () => {
  const { static_resources: { listeners, clusters } } = read(text);
  const haproxy = await Deno.readTextFile(join(ROOT, "packaging/balancers/haproxy.cfg"));
  const hosts = [...haproxy.matchAll(/^ +server (gpu-\d+) ([\d.]+):(\d+)/gm)];
  assert.equal(hosts.length, 2);
  const [{ typed_config }] = listeners[0].filter_chains[0].filters;
  const { routes } = typed_config.route_config.virtual_hosts[0];
  // deno-lint-ignore no-explicit-any
  const named = new Map<string, any>(clusters.map((one: { name: string }) => [one.name, one]));
  for (const { route } of routes) {
    assert.ok(named.has(route.cluster));
    // A sealed request may last.
    assert.equal(route.timeout, "0s");
  }
  for (const [, label, address, port] of hosts) {
    const route = routes.find(({ match }: { match: { headers?: { name: string }[] } }) =>
      JSON.stringify(match.headers ?? "").includes(`"prefix":"${label}."`)
    );
    assert.equal(route.match.headers[0].name, "secllama-runner");
    const [first] = named.get(route.route.cluster)!.load_assignment.endpoints;
    assert.equal(first.priority, 0);
    assert.deepEqual(
      first.lb_endpoints.map(({ endpoint }: { endpoint: unknown }) => endpoint),
      [{ address: { socket_address: { address, port_value: Number(port) } } }],
    );
    // What is repeated has reached nobody: a host that had it may have answered.
    assert.equal(route.route.retry_policy.retry_on, "connect-failure");
  }
});
