/**
 * Which GPU runners use. One that fails inside the sandbox means the processor from then on, in the same strict sandbox, and
 * never a GPU outside it; the reason shows in the log, the status and the banner.
 */
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import type { Config, GpuSetting } from "../config/config.ts";
import type { Gpu } from "../sandbox/mod.ts";
import type { Sandbox } from "./isolation.ts";

type Vendor = Exclude<Gpu, "none">;
/** A GPU backend of ggml's, by the name of its library. */
type Backend = "cuda" | "vulkan" | "metal";

const DRIVES: Readonly<Record<Backend, readonly Vendor[]>> = {
  cuda: ["nvidia"],
  vulkan: ["nvidia", "amd", "intel"],
  metal: ["metal"],
};

/** For status, banner and doctor. */
export interface GpuStatus {
  readonly setting: GpuSetting;
  /** What the next runner would use. */
  readonly used: Gpu;
  /** Why it is none; "" if one is used. */
  readonly reason: string;
}

export class GpuChoice {
  readonly #setting: GpuSetting;
  #used: Gpu;
  #reason: string;

  constructor(setting: GpuSetting, used: Gpu, reason: string) {
    this.#setting = setting;
    this.#used = used;
    this.#reason = reason;
  }

  get used(): Gpu {
    return this.#used;
  }

  /** The processor from now on, until this process ends. */
  fail(reason: string): void {
    this.#reason = `the ${this.#used} GPU failed inside the sandbox: ${reason}`;
    this.#used = "none";
  }

  status(): GpuStatus {
    return { setting: this.#setting, used: this.#used, reason: this.#reason };
  }
}

/** The GPU backends among the libraries in `folder`, which need not exist. */
export async function backendsIn(folder: string): Promise<Backend[]> {
  const found: Backend[] = [];
  for (const backend of ["cuda", "vulkan", "metal"] as const) {
    const path = join(folder, `libggml-${backend}.so`); // also on macOS, where it is a bundle
    if (await Deno.stat(path).then((s) => s.isFile, () => false)) found.push(backend);
  }
  return found;
}

/**
 * Chooses by the setting, by the GPUs that are there and by the backends that the library folder holds.
 * @throws {SecLlamaError} `bad-config` if a GPU is asked for by name and is not there, or nothing could drive it.
 */
export function chooseGpu(
  setting: GpuSetting,
  o: {
    readonly sandbox: boolean;
    readonly found: readonly Vendor[];
    readonly backends: readonly Backend[];
  },
): GpuChoice {
  if (setting === "off") return new GpuChoice(setting, "none", "switched off");
  const drivable = !o.sandbox
    ? []
    : o.found.filter((gpu) => o.backends.some((b) => DRIVES[b].includes(gpu)));
  const wanted = setting === "auto" ? drivable[0] : drivable.find((gpu) => gpu === setting);
  if (wanted) return new GpuChoice(setting, wanted, "");
  const seen = !o.sandbox
    ? "the sandbox is off, and a GPU is used inside it only"
    : o.found.length === 0
    ? "no GPU was found"
    : `there is ${o.found.join(", ")}; the library folder has ${
      o.backends.join(", ") || "no GPU backend"
    }`;
  if (setting === "auto") return new GpuChoice(setting, "none", seen);
  throw new SecLlamaError("bad-config", `the GPU ${setting} cannot be used: ${seen}`, {
    field: "gpu",
    hint: "use --gpu=auto, or name the folder of a CUDA or Vulkan build by --gpu-libraries",
  });
}

/**
 * The GPU that the runners of this sandbox are to use.
 * @throws {SecLlamaError} `bad-config` if one is asked for by name and cannot be used.
 */
export async function openGpu(
  config: Pick<Config, "gpu" | "enableSandbox">,
  { files, platform }: Pick<Sandbox, "files" | "platform">,
): Promise<GpuChoice> {
  return chooseGpu(config.gpu, {
    found: platform.gpus,
    sandbox: config.enableSandbox,
    backends: await backendsIn(files.gpuLibDir ?? files.libDir),
  });
}

/** Whether an error of a runner on a GPU may be the GPU's fault. A breach is not: that one is an alarm. */
export function mayBeTheGpu(error: unknown): error is SecLlamaError {
  return error instanceof SecLlamaError &&
    ["model-failed", "runner-died", "pipe-broken", "sandbox-failed", "sandbox-unavailable"]
      .includes(error.code);
}
