/** Where the loader looks for a library without a cache file. @param arch As the kernel says it: `x86_64`, `aarch64`. */
export function libraryFolders(arch: string): readonly string[] {
  const triplet = `${arch}-linux-gnu`;
  return [
    `/lib/${triplet}`,
    `/usr/lib/${triplet}`,
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
  ];
}
