/** The one file as root in a container with Docker's defaults: first answer with two commands, `serve` and `run`. */
import assert from "node:assert/strict";
import { makeBaseSystem } from "../support/base_system.ts";
import { compiledProgram } from "../support/binary.ts";
import {
  DOCKER_CAPABILITIES,
  type Engine,
  inContainer,
  podmanMissing,
} from "../support/container.ts";
import { ROOT_ONLY } from "./testing.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const noBase = ROOT_ONLY ? "no root, or no test base" : await makeBaseSystem();
const noPodman = noBase !== "" ? noBase : await podmanMissing();
if (noPodman !== "") console.log(`skipped: the test in podman: ${noPodman}`);

const FILES = {
  "/opt/secllama": compiledProgram(),
  "/opt/model": `${ROOT}models/demo.gguf`,
  "/opt/script": `${ROOT}tests/binary/container.sh`,
};

for (const engine of ["podman", "fake"] satisfies Engine[]) {
  Deno.test({
    name: `binary: as root with Docker's defaults (${engine})`,
    ignore: (engine === "podman" ? noPodman : noBase) !== "",
    async fn() {
      const { stdout, stderr } = await inContainer(engine, ["/bin/sh", "/opt/script"], {
        files: FILES,
      });
      assert.deepEqual(
        stdout.trim().split("\n"),
        [
          `uid 0, capabilities ${DOCKER_CAPABILITIES}`,
          "no namespaces",
          "demo answers",
          "mine answers",
          '"isolation":"strict"',
          "secllama-encryption: sealed",
          "secllama-isolation: strict",
          "its paths are closed to the runners' user",
          "2 runners, each without root, rights and calls",
          "enforced unprivileged user",
          "enforced no capabilities",
          "enforced no new privileges",
          "enforced landlock",
          "enforced seccomp",
          "enforced stage 2",
          "enforced limits",
          "enforced dies with the gateway",
          "ended cleanly",
        ],
        stderr,
      );
    },
  });
}
