#!/bin/sh
# Puts SwiftShader, Chromium's software Vulkan driver, under target/swiftshader and prints the path of its manifest.
# Debian ships it in chromium-common, of which the driver alone is unpacked; nothing is installed.
# Where it can't be had it says so and prints nothing, and fails only with --require.
set -u
cd "$(dirname "$0")/.." || exit 1

folder="$PWD/target/swiftshader"
manifest="$folder/usr/lib/chromium/vk_swiftshader_icd.json"

missing() {
    echo "no SwiftShader: $1; set VK_DRIVER_FILES to a vk_swiftshader_icd.json of your own and run cargo test" >&2
    [ "$2" = "--require" ] && exit 1
    exit 0
}

if [ ! -f "$manifest" ]; then
    required="${1:-}"
    command -v apt-get >/dev/null 2>&1 || missing "it comes from Debian's chromium-common, and there is no apt-get" "$required"
    mkdir -p "$folder" && cd "$folder" || exit 1
    fetch() { apt-get download -qq chromium-common >/dev/null 2>&1; }
    if ! fetch; then
        # The lists of packages may be missing, or too old to find it.
        as_root=""
        [ "$(id -u)" = 0 ] || as_root="sudo"
        $as_root apt-get update -qq >&2
        fetch || missing "could not download chromium-common, which holds it" "$required"
    fi
    files="./usr/lib/chromium/libvk_swiftshader.so ./usr/lib/chromium/vk_swiftshader_icd.json"
    # shellcheck disable=SC2086 # Two words.
    dpkg-deb --fsys-tarfile chromium-common_*.deb | tar -x $files || missing "chromium-common holds none" "$required"
    rm -f chromium-common_*.deb
fi
echo "$manifest"
