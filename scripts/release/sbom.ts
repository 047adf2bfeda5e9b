/** The bill of materials of one executable: CycloneDX 1.6, JSON (https://cyclonedx.org/docs/1.6/json/). */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { PartList } from "../../src/bundle/part_list.ts";
import type { Artefact } from "./artefacts.ts";

interface Component {
  type: string;
  "bom-ref": string;
  name: string;
  version?: string;
  purl?: string;
  licenses?: readonly unknown[];
  hashes?: readonly { alg: string; content: string }[];
  properties?: readonly { name: string; value: string }[];
  components?: readonly Component[];
}

const MIT = [{ license: { id: "MIT" } }];

/**
 * @param date Of the version, `YYYY-MM-DD`: a time of day would make two builds differ.
 * @param licenseOf The SPDX expression of an npm package.
 */
export function billOfMaterials(
  artefact: Artefact,
  list: PartList,
  o: { date: string; deno: string; licenseOf: (name: string, version: string) => string },
): unknown {
  const { build } = list;
  const root = "secllama";
  const components = [
    runtime(build.base, o.deno),
    ...build.packages.map((p) => npmPackage(p, o.licenseOf(p.name, p.version))),
    llama(list),
    ...list.parts.filter((part) => !part.name.startsWith("lib/")).map((part): Component => ({
      type: part.name.endsWith(".gguf") ? "machine-learning-model" : "application",
      "bom-ref": part.name,
      name: part.name,
      version: build.version,
      licenses: MIT,
      hashes: sha256(part.sha256),
    })),
  ];
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(artefact.sha256)}`,
    version: 1,
    metadata: {
      timestamp: `${o.date}T00:00:00Z`,
      component: {
        type: "application",
        "bom-ref": root,
        name: "secllama",
        version: build.version,
        licenses: MIT,
        hashes: sha256(artefact.sha256),
        properties: [
          { name: "secllama:file", value: artefact.file },
          { name: "secllama:target", value: build.target },
          { name: "secllama:base", value: build.base.kind },
        ],
      },
    },
    components,
    dependencies: [
      { ref: root, dependsOn: components.map((c) => c["bom-ref"]) },
      ...components.map((c) => ({ ref: c["bom-ref"], dependsOn: [] })),
    ],
  };
}

function runtime(base: PartList["build"]["base"], version: string): Component {
  return {
    type: "framework",
    "bom-ref": "deno",
    name: "denort",
    version,
    licenses: MIT,
    ...(base.sha256 === null ? {} : { hashes: sha256(base.sha256) }),
  };
}

function npmPackage(
  p: PartList["build"]["packages"][number],
  license: string,
): Component {
  const purl = purlOf(p.name, p.version);
  return {
    type: "library",
    "bom-ref": purl,
    name: p.name,
    version: p.version,
    purl,
    licenses: [{ expression: license }],
    // npm's integrity is that of the package's archive, in base64.
    hashes: [{
      alg: "SHA-512",
      content: Buffer.from(p.integrity.replace(/^sha512-/, ""), "base64").toString("hex"),
    }],
  };
}

/** The npm package that brought llama.cpp, and each of its libraries. */
function llama(list: PartList): Component {
  const id = list.build.llamaCpp;
  const at = id.lastIndexOf("@");
  const purl = purlOf(id.slice(0, at), id.slice(at + 1));
  return {
    type: "library",
    "bom-ref": purl,
    name: id.slice(0, at),
    version: id.slice(at + 1),
    purl,
    licenses: MIT,
    components: list.parts.filter((part) => part.name.startsWith("lib/")).map((part) => ({
      type: "file",
      "bom-ref": part.name,
      name: part.name.slice("lib/".length),
      licenses: MIT,
      hashes: sha256(part.sha256),
    })),
  };
}

/** https://github.com/package-url/purl-spec: the @ of a scope is percent-encoded. */
function purlOf(name: string, version: string): string {
  return `pkg:npm/${name.replace(/^@/, "%40")}@${version}`;
}

function sha256(content: string) {
  return [{ alg: "SHA-256", content }];
}

/** A UUID of version 8 (RFC 9562) made from the executable's digest: two builds name the same bill. */
function uuidOf(digest: string): string {
  const hex = createHash("sha256").update(`bom ${digest}`).digest("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

/**
 * Licences as the installed packages state them.
 * @throws {Error} If one is not installed or states none.
 */
export function installedLicenses(root: string) {
  return (name: string, version: string): string => {
    const prefix = `${name.replace("/", "+")}@${version}`;
    const store = join(root, "node_modules/.deno");
    const folder = [...Deno.readDirSync(store)]
      .find((e) => e.name === prefix || e.name.startsWith(`${prefix}_`));
    if (!folder) throw new Error(`${prefix} is not installed`);
    const path = join(store, folder.name, "node_modules", name, "package.json");
    const { license } = JSON.parse(Deno.readTextFileSync(path)) as { license?: unknown };
    if (typeof license !== "string") throw new Error(`${prefix} states no licence`);
    return license;
  };
}
