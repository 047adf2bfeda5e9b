#!/bin/sh
# Installs SecLlama's executable for this machine, or removes it.
#
#     sh install.sh [--to FOLDER] [--uninstall]
#
# It downloads over TLS only, checks the executable's SHA-256 against the release's SHA256SUMS before it moves or runs
# anything, and the signature of SHA256SUMS where minisign is installed. No sudo; ~/.local/bin by default.
# scripts/release.ts fills in the three lines below.
set -eu
umask 022

version='1.2.3'
url='https://releases.example/1.2.3'
public_key='RWQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

work=
finish() {
    [ -z "$work" ] || rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# Only https, and no redirect to anything else. Plain http is for this machine itself. -q: no ~/.curlrc, which may say
# --insecure for another program's sake.
download() {
    case $url in
        https://*) curl -q --fail --silent --show-error --location --proto '=https' --tlsv1.2 \
            --max-redirs 5 --output "$2" "$url/$1" ;;
        http://127.0.0.1:*) curl -q --fail --silent --show-error --proto '=http' --noproxy '*' \
            --max-redirs 0 --output "$2" "$url/$1" ;;
        *) fail "the release's address is not https" ;;
    esac || fail "cannot download $url/$1" "nothing was installed; try again"
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum <"$1" | cut -d ' ' -f 1
    elif command -v shasum >/dev/null; then shasum -a 256 <"$1" | cut -d ' ' -f 1
    else fail "neither sha256sum nor shasum is installed"
    fi
}

platform() {
    case $(uname -s) in
        Linux) system=linux ;;
        Darwin) system=darwin ;;
        *) fail "there is no SecLlama for $(uname -s)" ;;
    esac
    case $(uname -m) in
        x86_64 | amd64) echo "$system-x86_64" ;;
        aarch64 | arm64) echo "$system-aarch64" ;;
        *) fail "there is no SecLlama for $(uname -m)" ;;
    esac
}

main() {
    folder=${HOME:?}/.local/bin
    uninstall=
    while [ $# -gt 0 ]; do
        case $1 in
            --to)
                [ $# -ge 2 ] || fail "--to needs a folder"
                folder=$2
                shift 2 ;;
            --uninstall)
                uninstall=1
                shift ;;
            *) fail "unknown option: $1" "sh install.sh [--to FOLDER] [--uninstall]" ;;
        esac
    done
    if [ -n "$uninstall" ]; then
        [ -f "$folder/secllama" ] || fail "there is no secllama in $folder"
        rm "$folder/secllama"
        echo "removed $folder/secllama; models and key lists stay in the data folder, keys in the key store"
        return
    fi
    case $version in @*) fail "this is the script's source" "take the install.sh of a release" ;; esac
    command -v curl >/dev/null || fail "curl is not installed"
    file=secllama-$version-$(platform)
    mkdir -p "$folder"
    # Beside its place, so that moving it there is one step.
    work=$(mktemp -d "$folder/.secllama-install.XXXXXX")

    download SHA256SUMS "$work/SHA256SUMS"
    if command -v minisign >/dev/null; then
        download SHA256SUMS.minisig "$work/SHA256SUMS.minisig"
        minisign -V -q -P "$public_key" -m "$work/SHA256SUMS" ||
            fail "the signature of SHA256SUMS is wrong" "nothing was installed; tell the project"
        echo "signature: right"
    else
        echo "signature: not checked, minisign is not installed"
    fi
    wanted=$(awk -v file="$file" '$2 == file { print $1 }' "$work/SHA256SUMS")
    case $wanted in
        ????????????????????????????????????????????????????????????????) ;;
        *) fail "SHA256SUMS does not name $file once" ;;
    esac
    download "$file" "$work/secllama"
    [ "$(sha256 "$work/secllama")" = "$wanted" ] ||
        fail "$file is not what SHA256SUMS says" "nothing was installed; try again, then tell the project"
    chmod 755 "$work/secllama"
    mv -f "$work/secllama" "$folder/secllama"
    echo "installed $folder/secllama"
    case :$PATH: in
        *:"$folder":*) ;;
        *) echo "note: $folder is not in PATH" ;;
    esac
}

# All of it is read before any of it runs: a script that was cut short does nothing.
main "$@"
