/**
 * packaging/kubernetes against Kubernetes' own types (1.30), and against what docs/kubernetes.md says of it. There is no cluster here:
 * nothing of it was run.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { missingPrograms } from "../fleet/balancers.ts";
import { ROOT } from "../support/serve.ts";

const FOLDER = join(ROOT, "packaging/kubernetes");
const text = (name: string) => Deno.readTextFile(join(FOLDER, name));

/** Any object of Kubernetes: the types check what is in it. */
// deno-lint-ignore no-explicit-any
type Manifest = any;

/** The module of kubernetes-types that has the type of these. */
const TYPES: { readonly [apiVersion: string]: string } = {
  "v1": "core/v1",
  "apps/v1": "apps/v1",
  "networking.k8s.io/v1": "networking/v1",
};
/** Of the Secrets Store CSI driver, whose types are in no package. */
const CUSTOM = "secrets-store.csi.x-k8s.io/v1";

function manifestsIn(yaml: string): Manifest[] {
  return parseAllDocuments(yaml, { uniqueKeys: true }).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS();
  });
}

/** As `kubectl kustomize` has them: it only lists files here, and names the namespace that each already has. */
async function rendered(): Promise<Manifest[]> {
  const [kustomization] = manifestsIn(await text("kustomization.yaml"));
  const { apiVersion: _, kind, namespace, resources, ...more } = kustomization;
  assert.deepEqual([kind, namespace, more], ["Kustomization", "secllama", {}]);
  const files = [];
  for await (const { name } of Deno.readDir(FOLDER)) files.push(name);
  assert.deepEqual(files.sort(), [...resources, "kustomization.yaml"].sort());
  const all = await Promise.all(resources.map(text));
  return all.flatMap(manifestsIn);
}

/** What the type checker says of these as Kubernetes' objects: unknown fields and wrong types. */
async function checked(manifests: readonly Manifest[]): Promise<string> {
  const lines = manifests.map((manifest, i) => {
    const type = `import("kubernetes-types/${TYPES[manifest.apiVersion]}.d.ts").${manifest.kind}`;
    return `export const m${i}: ${type} = ${JSON.stringify(manifest)};`;
  });
  // In the tests' folder, whose packages it needs. The dot: others read the tree meanwhile.
  const path = join(ROOT, "tests", `.kubernetes-${crypto.randomUUID()}.ts`);
  await Deno.writeTextFile(path, lines.join("\n") + "\n");
  try {
    const { stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--frozen", "--config", join(ROOT, "tests/deps.json"), path],
      env: { NO_COLOR: "1" },
    }).output();
    return new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("kubernetes: the manifests are what Kubernetes' types say", async () => {
  const all = (await rendered()).filter(({ apiVersion }) => apiVersion !== CUSTOM);
  assert.ok(all.length > 15);
  for (const { apiVersion } of all) assert.ok(apiVersion in TYPES, apiVersion);
  // Control: a field that there is not, and one of another type. In one go, since the checker's start is what it costs.
  const wrong = structuredClone(all.find(({ kind }) => kind === "StatefulSet"));
  const other = structuredClone(wrong);
  wrong.spec.template.spec.hostUser = false;
  other.spec.replicas = "3";
  const said = await checked([wrong, other, ...all]);
  assert.match(said, /hostUser"?' does not exist in type 'PodSpec'[^]*\.ts:1:/);
  assert.match(said, /'string' is not assignable to type 'number'[^]*\.ts:2:/);
  assert.match(said, /Found 2 errors\./, said);
});

Deno.test("kubernetes: nobody may do what they need not, and each host has its own key", async () => {
  const all = await rendered();
  const labels = new Set<string>();
  for (const manifest of all) {
    if (manifest.kind !== "Namespace") assert.equal(manifest.metadata.namespace, "secllama");
    const pod = manifest.spec?.template?.spec;
    if (pod === undefined) continue;
    const about = manifest.metadata.name;
    labels.add(manifest.spec.template.metadata.labels.app);
    assert.deepEqual(
      [pod.hostUsers, pod.automountServiceAccountToken, pod.securityContext.runAsNonRoot],
      [false, false, true],
      about,
    );
    assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault", about);
    for (const word of ["hostNetwork", "hostPID", "hostIPC"]) assert.ok(!(word in pod), about);
    for (const { securityContext, readinessProbe, resources, volumeMounts } of pod.containers) {
      assert.deepEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      assert.ok(readinessProbe && resources.limits.memory, about);
      // Every mount is of a volume that there is, and the other way round.
      const there = [
        ...pod.volumes.map(({ name }: Manifest) => name),
        ...(manifest.spec.volumeClaimTemplates ?? []).map(({ metadata }: Manifest) =>
          metadata.name
        ),
      ];
      const mounted = volumeMounts.map(({ name }: Manifest) => name);
      assert.deepEqual(mounted.sort(), there.sort(), about);
      for (const volume of pod.volumes) assert.ok(!("hostPath" in volume), about);
    }
  }
  // A policy for each kind of pod, and one that lets nobody do anything.
  const policies = all.filter(({ kind }) => kind === "NetworkPolicy");
  const nobody = policies.find(({ metadata }) => metadata.name === "nobody").spec;
  assert.deepEqual(nobody, { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
  const covered = policies.flatMap(({ spec }) => spec.podSelector.matchLabels?.app ?? []);
  assert.deepEqual([...labels].sort(), covered.sort());

  const one = await text("gpu-1.yaml");
  const rest = (yaml: string) => yaml.split("\n").slice(1).join("\n");
  const keys = new Set<string>();
  for (const i of [1, 2, 3]) {
    const own = await text(`gpu-${i}.yaml`);
    assert.equal(rest(own), rest(one).replaceAll("gpu-1", `gpu-${i}`));
    const host = manifestsIn(own).find(({ kind }) => kind === "StatefulSet");
    const { csi } = host.spec.template.spec.volumes.find(({ name }: Manifest) => name === "key");
    const name = csi.volumeAttributes.secretProviderClass;
    const given = all.find(({ apiVersion, metadata }) =>
      apiVersion === CUSTOM && metadata.name === name
    );
    keys.add(JSON.stringify(given.spec.parameters.objects));
    // What has begun is ended: longer than SECLLAMA_DRAIN_TIME.
    const { terminationGracePeriodSeconds: grace, containers } = host.spec.template.spec;
    assert.deepEqual(containers[0].env, [{ name: "SECLLAMA_DRAIN_TIME", value: "5m" }]);
    assert.ok(grace > 300);
  }
  assert.equal(keys.size, 3);
});

const missing = await missingPrograms();
if (missing.length > 0) console.log(`skipped: Kubernetes' balancer; not there: ${missing}`);

Deno.test({
  name: "kubernetes: the balancer's configuration is that of examples/fleet, and HAProxy takes it",
  ignore: missing.length > 0,
  fn: async () => {
    const [{ data }] = manifestsIn(await text("balancer.yaml"));
    const example = await Deno.readTextFile(join(ROOT, "examples/fleet/haproxy.cfg"));
    const body = example.slice(example.indexOf("global\n"))
      .replaceAll(/10\.0\.0\.(\d):11435/g, (_, i) => `gpu-${i}:11435`)
      .replaceAll("/etc/haproxy/secllama.lan.both.pem", "/etc/haproxy/tls/both.pem")
      .replaceAll("/etc/haproxy/ca.pem", "/etc/haproxy/tls/ca.crt")
      .replace("\ndefaults\n", "\nresolvers cluster\n    parse-resolv-conf\n\ndefaults\n")
      .replace("default-server check", "default-server resolvers cluster init-addr none check");
    assert.equal(data["haproxy.cfg"], body);
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-kubernetes-" });
    try {
      const made = await new Deno.Command("/bin/sh", {
        args: [join(ROOT, "examples/fleet/certificates.sh"), "both", "host"],
        cwd: folder,
      }).output();
      assert.equal(made.code, 0, new TextDecoder().decode(made.stderr));
      const own = body.replaceAll("/etc/haproxy/tls/both.pem", `${folder}/both.both.pem`)
        .replaceAll("/etc/haproxy/tls/ca.crt", `${folder}/ca.pem`);
      await Deno.writeTextFile(join(folder, "haproxy.cfg"), own);
      const { code, stderr } = await new Deno.Command("/usr/sbin/haproxy", {
        args: ["-c", "-f", join(folder, "haproxy.cfg")],
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
