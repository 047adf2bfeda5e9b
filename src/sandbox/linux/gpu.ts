/** Which GPUs a Linux machine has, by device nodes and by what sysfs says of render nodes. Opens no device. */
import type { LinuxGpu } from "./policy.ts";
import { GPU_POLICIES } from "./policy.ts";

type Vendor = Exclude<LinuxGpu, "none">;

/** PCI ids of vendors, as /sys/class/drm/renderDN/device/vendor gives them. */
const PCI_VENDORS: { readonly [id: string]: Vendor } = {
  "0x10de": "nvidia",
  "0x1002": "amd",
  "0x8086": "intel",
};

/**
 * The GPUs, the best first.
 * @param files Those device nodes of the GPU policies that exist.
 * @param vendorOf Reads the vendor's id of a render node by name; undefined: it cannot be read.
 */
export function findGpus(
  files: readonly string[],
  vendorOf: (node: string) => string | undefined,
): Vendor[] {
  const there = new Set(files);
  const found = new Set<Vendor>();
  // NVIDIA's own driver: its render node, if any, is not what CUDA opens.
  if (there.has("/dev/nvidiactl") && there.has("/dev/nvidia0")) found.add("nvidia");
  for (const { devices } of [GPU_POLICIES.amd, GPU_POLICIES.intel]) {
    for (const device of devices.filter((path) => /\/renderD\d+$/.test(path) && there.has(path))) {
      const vendor = PCI_VENDORS[vendorOf(device.slice(device.lastIndexOf("/") + 1)) ?? ""];
      // An NVIDIA render node without nvidiactl is nouveau's, whose policy there is none of.
      if (vendor === "amd" || vendor === "intel") found.add(vendor);
    }
  }
  return (["nvidia", "amd", "intel"] as const).filter((vendor) => found.has(vendor));
}
