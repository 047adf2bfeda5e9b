/** The files of package managers and services, all from the one table of artefacts: names, addresses and sums cannot drift. */
import { join } from "node:path";
import { artefactFor, hasArtefact, type Release } from "./artefacts.ts";

const SUMMARY = "Language models on your own machine, sealed and sandboxed";

/** Name in the release → text. A package of a system that the release has no executable for is left out. */
export async function packageFiles(
  release: Release,
  root: string,
): Promise<ReadonlyMap<string, string>> {
  const out = new Map<string, string>();
  const source = await Deno.readTextFile(join(root, "scripts/install.sh"));
  out.set("install.sh", installer(source, release));
  const has = (platform: string) => hasArtefact(release, platform);
  if (has("linux-x86_64")) out.set("Dockerfile", dockerfile(release));
  if (["darwin-aarch64", "darwin-x86_64", "linux-x86_64", "linux-aarch64"].every(has)) {
    out.set("secllama.rb", homebrewFormula(release));
  }
  if (has("windows-x86_64")) {
    for (const [name, text] of wingetManifests(release)) out.set(name, text);
  }
  return out;
}

/** @throws {Error} If the source lacks one of the places to fill in. */
export function installer(source: string, release: Release): string {
  let text = source;
  for (
    const [place, value] of [
      ["@VERSION@", release.version],
      ["@URL@", release.url],
      ["@PUBLIC_KEY@", release.publicKey],
    ] as const
  ) {
    if (!text.includes(`'${place}'`)) throw new Error(`install.sh has no ${place}`);
    text = text.replace(`'${place}'`, `'${value}'`);
  }
  return text;
}

export function dockerfile(release: Release): string {
  const { url, sha256 } = artefactFor(release, "linux-x86_64");
  return `# syntax=docker/dockerfile:1
# The sandbox of models makes user namespaces. Docker's default seccomp profile forbids that: models then run under
# Landlock and seccomp only, and the banner says so.
FROM debian:12-slim
ADD --checksum=sha256:${sha256} --chmod=755 ${url} /usr/local/bin/secllama
RUN useradd --create-home --uid 10001 secllama
USER secllama
# The gateway and the proxy listen on loopback, inside the container.
ENTRYPOINT ["/usr/local/bin/secllama"]
CMD ["serve", "--ephemeral"]
`;
}

export function homebrewFormula(release: Release): string {
  const block = (platform: string, indent: string) => {
    const { url, sha256 } = artefactFor(release, platform);
    return `${indent}url "${url}"\n${indent}sha256 "${sha256}"`;
  };
  const system = (word: string, name: string) =>
    `  on_${word} do
    on_arm do
${block(`${name}-aarch64`, "      ")}
    end
    on_intel do
${block(`${name}-x86_64`, "      ")}
    end
  end`;
  return `class Secllama < Formula
  desc "${SUMMARY}"
  homepage "${release.url}"
  version "${release.version}"
  license "MIT"

${system("macos", "darwin")}

${system("linux", "linux")}

  def install
    bin.install Dir["secllama-*"].first => "secllama"
    chmod 0755, bin/"secllama"
    generate_completions_from_executable(bin/"secllama", "completion", shells: [:bash, :zsh, :fish])
    (man1/"secllama.1").write Utils.safe_popen_read(bin/"secllama", "help", "--man")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/secllama version")
  end
end
`;
}

/** The three files that winget wants of each version (schema 1.9.0). */
export function wingetManifests(release: Release): readonly (readonly [string, string])[] {
  const { url, sha256 } = artefactFor(release, "windows-x86_64");
  const id = "SecLlama.SecLlama";
  const head = (kind: string) =>
    `# yaml-language-server: $schema=https://aka.ms/winget-manifest.${kind}.1.9.0.schema.json

PackageIdentifier: ${id}
PackageVersion: ${release.version}
`;
  const foot = (kind: string) => `ManifestType: ${kind}\nManifestVersion: 1.9.0\n`;
  return [
    [`${id}.yaml`, `${head("version")}DefaultLocale: en-US\n${foot("version")}`],
    [
      `${id}.installer.yaml`,
      `${head("installer")}InstallerType: portable
Commands:
  - secllama
Installers:
  - Architecture: x64
    InstallerUrl: ${url}
    InstallerSha256: ${sha256.toUpperCase()}
${foot("installer")}`,
    ],
    [
      `${id}.locale.en-US.yaml`,
      `${head("defaultLocale")}PackageLocale: en-US
Publisher: SecLlama
PackageName: SecLlama
License: MIT
ShortDescription: ${SUMMARY}
${foot("defaultLocale")}`,
    ],
  ];
}
