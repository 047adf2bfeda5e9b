class Secllama < Formula
  desc "Language models on your own machine, sealed and sandboxed"
  homepage "https://releases.example/1.2.3"
  version "1.2.3"
  license "MIT"

  on_macos do
    on_arm do
      url "https://releases.example/1.2.3/secllama-1.2.3-darwin-aarch64"
      sha256 "2222222222222222222222222222222222222222222222222222222222222222"
    end
    on_intel do
      url "https://releases.example/1.2.3/secllama-1.2.3-darwin-x86_64"
      sha256 "3333333333333333333333333333333333333333333333333333333333333333"
    end
  end

  on_linux do
    on_arm do
      url "https://releases.example/1.2.3/secllama-1.2.3-linux-aarch64"
      sha256 "1111111111111111111111111111111111111111111111111111111111111111"
    end
    on_intel do
      url "https://releases.example/1.2.3/secllama-1.2.3-linux-x86_64"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
  end

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
