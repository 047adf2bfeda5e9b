/**
 * SHA-256 of every library the engine may load, one table a package. A file that is not listed, or differs, is not
 * loaded: struct layouts (layout.ts) hold for these builds only. To move to another version: change the package in
 * deno.json, run `sha256sum` over its folder, and check every table of layout.ts against its headers.
 */
export interface LibrarySet {
  /** Package and version that brings the folder. */
  readonly package: string;
  /** `${Deno.build.os}-${Deno.build.arch}` */
  readonly platform: string;
  /** The three that are opened by name; the folder's other libraries are backends, opened by ggml. */
  readonly base: string;
  readonly ggml: string;
  readonly llama: string;
  readonly files: Readonly<Record<string, string>>;
}

export const LIBRARY_SETS: readonly LibrarySet[] = [
  {
    package: "@node-llama-cpp/linux-x64@3.21.1",
    platform: "linux-x86_64",
    base: "libggml-base.so",
    ggml: "libggml.v0.4.0.so",
    llama: "libllama.v0.4.0.so",
    files: {
      "libggml-base.so": "1eba024559799447e34687e12b6794e79ad3768a1b3d2cbca9fadc829f0f85c7",
      "libggml-cpu-alderlake.so":
        "9855c4a776fe65b907eb3a2552f69d49bad692f9bd09709d0ee09773f3ed1cd9",
      "libggml-cpu-cannonlake.so":
        "3e6b749e7f49d4a713a92156d25d7678163d46e8083ac63535c9499611fb2516",
      "libggml-cpu-cascadelake.so":
        "a1ebbca4d2eef11b8e4b57e43b7a431bddb7e0a28a1c50b7183d053a69d60c81",
      "libggml-cpu-cooperlake.so":
        "34f03e1df8c7076cff77e4512f8e6a6e2b613a779ef6560b58eaf65f8721e695",
      "libggml-cpu-haswell.so": "e515aa4e0ea19c7bca544536db03b17ca6ad4ee24d8bf5dd9ea6f9c18bb9e135",
      "libggml-cpu-icelake.so": "3e083fe7d5eaef3f2426b80aa50639484ce8b0ade2b9f8d16fc1321456761b91",
      "libggml-cpu-ivybridge.so":
        "4d3f861530b860f39e7a4856d42ae9134def255ef201078f890ae75e1b27cbfe",
      "libggml-cpu-piledriver.so":
        "d23438b7bcc20dd0fc25ad82feb2bd9bc354cbd225a1c1ec6009d8ec142faaaa",
      "libggml-cpu-sandybridge.so":
        "486aa8a2c058387f0019e00931175d0b1b0a3b023cae3604427442506b3231ac",
      "libggml-cpu-sapphirerapids.so":
        "1a9d8718e725c19bd2e9a2c58286c2164572a00eff397cc3a746c76e7e2fe364",
      "libggml-cpu-skylakex.so": "74d65c3926a1914588332d9bc7583f8a29666ff06ee34605604d2759b65f03f8",
      "libggml-cpu-sse42.so": "dc2ad4e366258cb8e94ab5923c0febcba81136a1b6a91ae08d8382764459bb2e",
      "libggml-cpu-x64.so": "bd2de057baaf343ec9fdabf2623de97f1f29aff7a8bd6e9b25f291f8af699bd0",
      "libggml-cpu-zen4.so": "d101750f42c2ebc68ec4423645c7f167c6b84834743776f2074297a146924699",
      "libggml.v0.4.0.so": "a8810737479e61c0131576a7a7b8d6ee09b1c161055065ba0579f671da7eb04c",
      "libllama.v0.4.0.so": "a1e1a2f1d1261070e33f25eca89700cfcf4b824f6a4113e9bc111c17aefcb52f",
    },
  },
  {
    package: "@node-llama-cpp/linux-arm64@3.21.1",
    platform: "linux-aarch64",
    base: "libggml-base.so",
    ggml: "libggml.v0.4.0.so",
    llama: "libllama.v0.4.0.so",
    files: {
      "libggml-base.so": "5f02f4baf1660fce8f607693694eb644035caf7e5bc33103edc316da85229066",
      "libggml-cpu-armv8.0_1.so":
        "9692bb20faa84c178b3dd1941744ca564c45f5065391bc2e990084a79f13db9b",
      "libggml-cpu-armv8.2_1.so":
        "bc47eed34b7fbb87f59b6308db7c1bc3f675c33b6c3237534a56c152f69b1cff",
      "libggml-cpu-armv8.2_2.so":
        "e60172cf0f68a8975f06a32ddfb1c634b3ddd693c9d3e474776810433bc6907c",
      "libggml-cpu-armv8.2_3.so":
        "67885633f30a2c79453b947088e024fe4229c35b8f3d432b99ee87ce7cf5a8b9",
      "libggml-cpu-armv8.6_1.so":
        "d133ad958c9830fa795ffe932e42248ad836a2020abe6f1e96dedd639c4ec72c",
      "libggml-cpu-armv8.6_2.so":
        "bf487d77cd087f9fc07e8fd3b346a9e635196df65cbbee850bd238d9c97133e9",
      "libggml-cpu-armv9.2_1.so":
        "6046cf5dca135c7c0d0d78c02ac7275ad9b921fe036e89109a35c2213a435bd0",
      "libggml-cpu-armv9.2_2.so":
        "e29c3e4f45682cf3a596626f91b76af0814d8ff9f8da9ac677724a8b59fb2b4f",
      "libggml.v0.4.0.so": "2f4766ceb830566f5ec86b22fbfe6dc7f209102875ef5b5dace9be8a96fa8b2b",
      "libllama.v0.4.0.so": "a671d2a1746dc07ec69fe72a64daaafd2e2fb7ee3421b0c346ed76a8c7abc3c8",
    },
  },
];
