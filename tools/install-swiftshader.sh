#!/bin/sh
# Puts SwiftShader, Chromium's software Vulkan driver, under target/swiftshader and prints the path of its manifest.
# Debian ships it in chromium-common, of which the driver alone is unpacked; nothing is installed.
set -eu
cd "$(dirname "$0")/.."

folder="$PWD/target/swiftshader"
manifest="$folder/usr/lib/chromium/vk_swiftshader_icd.json"
if [ ! -f "$manifest" ]; then
    command -v apt-get >/dev/null 2>&1 || {
        echo "SwiftShader comes from Debian's chromium-common; without apt-get set VK_DRIVER_FILES to a vk_swiftshader_icd.json of your own" >&2
        exit 1
    }
    mkdir -p "$folder"
    cd "$folder"
    fetch() { apt-get download -qq chromium-common >/dev/null 2>&1; }
    if ! fetch; then
        # The lists of packages may be missing, or too old to find it.
        as_root=""
        [ "$(id -u)" = 0 ] || as_root="sudo"
        $as_root apt-get update -qq >&2
        fetch || {
            echo "could not download chromium-common, which holds SwiftShader" >&2
            exit 1
        }
    fi
    dpkg-deb --fsys-tarfile chromium-common_*.deb | tar -x ./usr/lib/chromium/libvk_swiftshader.so ./usr/lib/chromium/vk_swiftshader_icd.json
    rm -f chromium-common_*.deb
fi
echo "$manifest"
