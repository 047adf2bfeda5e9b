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
  /** The GPU backend among its files; null: processors only. */
  readonly gpu: "cuda" | "vulkan" | "metal" | null;
  /** The three that are opened by name; the folder's other libraries are backends, opened by ggml. */
  readonly base: string;
  readonly ggml: string;
  readonly llama: string;
  readonly files: Readonly<Record<string, string>>;
}

/** These files are the same in all packages for x86-64 Linux. */
const LINUX_X64 = {
  "libggml-base.so": "1eba024559799447e34687e12b6794e79ad3768a1b3d2cbca9fadc829f0f85c7",
  "libggml-cpu-alderlake.so": "9855c4a776fe65b907eb3a2552f69d49bad692f9bd09709d0ee09773f3ed1cd9",
  "libggml-cpu-cannonlake.so": "3e6b749e7f49d4a713a92156d25d7678163d46e8083ac63535c9499611fb2516",
  "libggml-cpu-cascadelake.so": "a1ebbca4d2eef11b8e4b57e43b7a431bddb7e0a28a1c50b7183d053a69d60c81",
  "libggml-cpu-cooperlake.so": "34f03e1df8c7076cff77e4512f8e6a6e2b613a779ef6560b58eaf65f8721e695",
  "libggml-cpu-haswell.so": "e515aa4e0ea19c7bca544536db03b17ca6ad4ee24d8bf5dd9ea6f9c18bb9e135",
  "libggml-cpu-icelake.so": "3e083fe7d5eaef3f2426b80aa50639484ce8b0ade2b9f8d16fc1321456761b91",
  "libggml-cpu-ivybridge.so": "4d3f861530b860f39e7a4856d42ae9134def255ef201078f890ae75e1b27cbfe",
  "libggml-cpu-piledriver.so": "d23438b7bcc20dd0fc25ad82feb2bd9bc354cbd225a1c1ec6009d8ec142faaaa",
  "libggml-cpu-sandybridge.so": "486aa8a2c058387f0019e00931175d0b1b0a3b023cae3604427442506b3231ac",
  "libggml-cpu-sapphirerapids.so":
    "1a9d8718e725c19bd2e9a2c58286c2164572a00eff397cc3a746c76e7e2fe364",
  "libggml-cpu-skylakex.so": "74d65c3926a1914588332d9bc7583f8a29666ff06ee34605604d2759b65f03f8",
  "libggml-cpu-sse42.so": "dc2ad4e366258cb8e94ab5923c0febcba81136a1b6a91ae08d8382764459bb2e",
  "libggml-cpu-x64.so": "bd2de057baaf343ec9fdabf2623de97f1f29aff7a8bd6e9b25f291f8af699bd0",
  "libggml-cpu-zen4.so": "d101750f42c2ebc68ec4423645c7f167c6b84834743776f2074297a146924699",
};

export const LIBRARY_SETS: readonly LibrarySet[] = [
  {
    package: "@node-llama-cpp/linux-x64@3.21.1",
    platform: "linux-x86_64",
    gpu: null,
    base: "libggml-base.so",
    ggml: "libggml.v0.4.0.so",
    llama: "libllama.v0.4.0.so",
    files: {
      ...LINUX_X64,
      "libggml.v0.4.0.so": "a8810737479e61c0131576a7a7b8d6ee09b1c161055065ba0579f671da7eb04c",
      "libllama.v0.4.0.so": "a1e1a2f1d1261070e33f25eca89700cfcf4b824f6a4113e9bc111c17aefcb52f",
    },
  },
  {
    package: "@node-llama-cpp/linux-arm64@3.21.1",
    platform: "linux-aarch64",
    gpu: null,
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
  {
    package: "@node-llama-cpp/linux-x64-vulkan@3.21.1",
    platform: "linux-x86_64",
    gpu: "vulkan",
    base: "libggml-base.so",
    ggml: "libggml.vulkan.v0.4.0.so",
    llama: "libllama.vulkan.v0.4.0.so",
    files: {
      ...LINUX_X64,
      "libggml-vulkan.so": "39f178967f6079980b41049fe2c1fab774e86fa90087390bf694bb7e6e0215a3",
      "libggml.vulkan.v0.4.0.so":
        "28497d4cc4cab8f5d06e3ef94033974b068b3e6ea6543d1cbe7dcb762b3b065b",
      "libllama.vulkan.v0.4.0.so":
        "34ada246dfb2e78dc29f4599b92b032385eabe1e7ee539f095631aa3dac90072",
    },
  },
  {
    package: "@node-llama-cpp/linux-x64-cuda@3.21.1",
    platform: "linux-x86_64",
    gpu: "cuda",
    base: "libggml-base.so",
    ggml: "libggml.cuda.v0.4.0.so",
    llama: "libllama.cuda.v0.4.0.so",
    files: {
      ...LINUX_X64,
      "libggml-cuda.so": "b44c49ee361064e04c6da297bd820931ee3f0b580c78f19d3b548c2b89a5972c",
      "libggml.cuda.v0.4.0.so": "4885d99fb8f88ab5e00edc7beab380c9554753be7874b89b91073312c93bed96",
      "libllama.cuda.v0.4.0.so": "7240f12677b9af784d06b45b42ef30d039737d5ee4e1c6aaf2d2bb55a84da31d",
    },
  },
  {
    package: "@node-llama-cpp/mac-arm64-metal@3.21.1",
    platform: "darwin-aarch64",
    gpu: "metal",
    base: "libggml-base.dylib",
    ggml: "libggml.metal.v0.4.0.dylib",
    llama: "libllama.metal.v0.4.0.dylib",
    files: {
      "libggml-base.dylib": "d0b909f22bfeaf3dbb5f7a992d9e48710b897dd5db95ef82e8317c9c2474e28c",
      "libggml-blas.so": "c715abcddaad946d4e0aa5d84b94b9f83e6817f5471f2d10e171de2e9e563bba",
      "libggml-cpu-apple_m1.so": "3025e75476e77db5ee1fa2e2b78a5adc8e2e089be57174ab6ce8a381cb648a4b",
      "libggml-cpu-apple_m2_m3.so":
        "75c3a7f06a0374ceddefca9f9067878e432fc9e57dc5d70110679c7876488613",
      "libggml-cpu-apple_m4.so": "c78ac88acf14dfdb0a94b35533990f8b99fa810e128461555fee583119ad4be9",
      "libggml-metal.so": "1081bd1cf05edc21513c07ba9b18c2ba345af8a14ae678fc13e2fa462d744bb2",
      "libggml.metal.v0.4.0.dylib":
        "a70f1a5d40685bb81aaa25d9a794b05e06d63e2d64986e3d409e0365b61cf120",
      "libllama.metal.v0.4.0.dylib":
        "0f59592ce092fea073d9de2f0589ea9527a0e1fb1856af6ddd2970b32eeb28d1",
    },
  },
  {
    package: "@node-llama-cpp/mac-x64@3.21.1",
    platform: "darwin-x86_64",
    gpu: null,
    base: "libggml-base.dylib",
    ggml: "libggml.v0.4.0.dylib",
    llama: "libllama.v0.4.0.dylib",
    files: {
      "libggml-base.dylib": "4127667f0d4fd3528f4c92c71f16d9a4390c0a24314bf40246e6146685a5606c",
      "libggml-blas.so": "c5f883b4ba55b262a86d6b04e9f917942d1dbd4ca2ce59b28c821dd4c43d63c3",
      "libggml-cpu-alderlake.so":
        "b7ab1e7b64628e8d24b533a95e34975a13d5a68525bc2a7293e6c2d7553b60db",
      "libggml-cpu-cannonlake.so":
        "64e7a20c5209980d7814a48893e03e0a9504b432c76cdaa65691f4eb656c4ac8",
      "libggml-cpu-cascadelake.so":
        "b3d687f55bc6d8e25ba71c38ac2f0f9ed06bb87263ad38dcf84a20c64c01b66f",
      "libggml-cpu-cooperlake.so":
        "0078e72aed24ec0a4f3e29e978ca3b4322d7c453b6e963c229118a8b9b4773ee",
      "libggml-cpu-haswell.so": "a29cd412ccae3487e6e6af841478d53aafa78dfa7e8f24d466f7822c3a0967f1",
      "libggml-cpu-icelake.so": "44d5d66d3f8558b8a2ed0e381e68203ade16cf723ef5a1823f551782a756ba4b",
      "libggml-cpu-ivybridge.so":
        "445110a39cad93eac8ef8205f06412e97aaa179b0ffc49308433b6f930719179",
      "libggml-cpu-piledriver.so":
        "bf60809c4ec377d4cd511858d48b5d893920ce6145812d7805f181646622c115",
      "libggml-cpu-sandybridge.so":
        "891e17d67407df5845ef4fef02020c01a5544472567d0db552850a7634258265",
      "libggml-cpu-sapphirerapids.so":
        "7d8a91c03c62156a6f68f52662fe32422a0ce813b6725226f0993352993037e2",
      "libggml-cpu-skylakex.so": "fb08b075180601393d0954dc36543c729b6f0b3a2fc0ad3f4aa302b3741a985f",
      "libggml-cpu-sse42.so": "f42b7cfeacac46c96586dfc9235034fa77c8d0ea88989ac569e504562a6f903e",
      "libggml-cpu-x64.so": "5f104ce4d525983061faa847ab0614772c9cdb3c93b4e9e879a0546373b13769",
      "libggml-cpu-zen4.so": "2bab549022551776ced3ab7b5bec056f505fceb362b6f6f0724c782268fb5ed0",
      "libggml.v0.4.0.dylib": "3d3026af1f61765623c6ea0d112a89b8b3de98977f6e3500694e71304a48cb10",
      "libllama.v0.4.0.dylib": "d691da8f0e5e69e7f0397c5526fbc11de8e96e3a330213e39175a7447c86be51",
    },
  },
  {
    package: "@node-llama-cpp/win-x64@3.21.1",
    platform: "windows-x86_64",
    gpu: null,
    base: "ggml-base.dll",
    ggml: "ggml.v0.4.0.dll",
    llama: "llama.v0.4.0.dll",
    files: {
      "ggml-base.dll": "86c3ef964c4db4ece53f016988ee4bd4ec0ca1c220e26a481d51c83b61f1852e",
      "ggml-cpu-alderlake.dll": "db34eb27b40251283ead373618b5083a94a82c1b8c9b07e5979b522e6f3135de",
      "ggml-cpu-cannonlake.dll": "e637b9378cc5cd7bf861feb8b78c66623b17b4c3293ef9f653c8625c66d9a2a4",
      "ggml-cpu-cascadelake.dll":
        "bf44a97dcf80975a787e349a9daa480fd779d35fc6944c1e47b1da2c864d81b9",
      "ggml-cpu-cooperlake.dll": "870d3cfdbacabb63f138ad8069cd1da01a39e71c6351e6a35df2a2a2a4feba22",
      "ggml-cpu-haswell.dll": "abfbaceb9e568b3919c3b3e83482e217bf9a53462514bc9dd132403dbc8d4cc3",
      "ggml-cpu-icelake.dll": "a37657d9482b1028b620c95c11c178dbf23649db66c749c5e2296a9030aff6be",
      "ggml-cpu-ivybridge.dll": "809b4d0a79b5e892ea36c13d9d270e596de1397ddf42fb6da72c0a5c998eaaa4",
      "ggml-cpu-piledriver.dll": "bda2d06d3ebd8d46a375adad6aaa696efc1464e8e32615341aacf194a292bf20",
      "ggml-cpu-sandybridge.dll":
        "e9852ffa91080a2ca4280049204c01f48b6ab919d6d686c68669e21242ba975c",
      "ggml-cpu-sapphirerapids.dll":
        "a01dd87fdb4c0a8e722bfaec82bed4e5dc13a0cc98c3f8a555852ba038ebd8b0",
      "ggml-cpu-skylakex.dll": "9773fe15b65a471205e892b2ffff9366fe30fb2fc5c20aad0bff53cd2905a272",
      "ggml-cpu-sse42.dll": "0c0d03f9c0294b3665fffe12eea822d967d1b11b41d5b4651c3a06daaf3ea420",
      "ggml-cpu-x64.dll": "7c568f8859b0965e066ac733adf79a0a008a649ce92076908e2e1c6659cb8dac",
      "ggml-cpu-zen4.dll": "9626c63730b207ef7b27448e0d8bbe377983ff2225197309ee2e37d514a90c73",
      "ggml.v0.4.0.dll": "76a70e6e68c6a32b3b7214be44dede61e7fda42734a66d3a6dbd8fd3598fdfcd",
      "llama.v0.4.0.dll": "2e74c9c2901306e48085e225d169e887d68cef62b5ef8a63b9829c548cac0a10",
    },
  },
  // Another release, for --engine-libraries: the structures of layout.ts and the functions of symbols.ts are the same in its headers
  // (include/llama.h, ggml/include of v0.5.0, but for the name of one type). It stands last: a platform's first set is its own.
  {
    package: "@node-llama-cpp/linux-x64@3.22.1",
    platform: "linux-x86_64",
    gpu: null,
    base: "libggml-base.so",
    ggml: "libggml.v0.5.0.so",
    llama: "libllama.v0.5.0.so",
    files: {
      "libggml-base.so": "6c342c8aeb20cb31a18099d6f79de4de6703814d1cfd5c4d754a8643087e486e",
      "libggml-cpu-alderlake.so":
        "6527efda35405a0d91574aced4a7766db9bb0494ab6458c83fe9eba755eb76f7",
      "libggml-cpu-cannonlake.so":
        "44285a67a31a81a036a70c565d391b31145d835044c03c76cfaa2f90a9d57d42",
      "libggml-cpu-cascadelake.so":
        "97cace813fbf7b7a07c4793f6a75b8b2d3de256430620f0be4a15bd4372468ea",
      "libggml-cpu-cooperlake.so":
        "5eda284fd8986d550e21623b269dd31d02c07fc70121d3099609d5dde6b6847e",
      "libggml-cpu-haswell.so": "ddaa96012769f0e86e8670cca374243751880bea2c2d0a4413b3a1b7a29dca74",
      "libggml-cpu-icelake.so": "9b9c24aaa775fd38a6e1ff082549e50d4138d29f2e2883630b28ab70704ed896",
      "libggml-cpu-ivybridge.so":
        "91b27ab81df92b8429c8e3441a8861014d3aec1424f90885a628fd0d4567532f",
      "libggml-cpu-piledriver.so":
        "2cb5b2101f5bbefa2416ec7f8b6c6acb177d04f0157989c5d92e4c07750fd3f8",
      "libggml-cpu-sandybridge.so":
        "bce17565033835dfb59fae2ed712d4c35e56463c2d49ea61ca08e6e2908bdfd6",
      "libggml-cpu-sapphirerapids.so":
        "e3d4840632b2242655e1721c6b93ec0370406dded9074accfe90bcfb67bd30b8",
      "libggml-cpu-skylakex.so": "df30b40a957175cd8e462e8838632dc51e3be7570b27b9526cb7a044263aeab3",
      "libggml-cpu-sse42.so": "ec65053445506965db5dd9382d7ede084ba639edc55f77aaf73581c778969e02",
      "libggml-cpu-x64.so": "1174c3c3e0b8722313df561d7ef5ece516a070732cec9b8ddda3667c0b959728",
      "libggml-cpu-zen4.so": "d84208de33fdadb8921a1a1a34342f5eceb1e58b83648be68050f7557312bd3e",
      "libggml.v0.5.0.so": "41cd5e6ad78b9f0af31a6f80d637d3168e75ff84db14c495de4d3d9c95607444",
      "libllama.v0.5.0.so": "2ecd1d85f68456573a664106a9039366b88231579fd65d9669c9a6ab41374fd4",
    },
  },
];
