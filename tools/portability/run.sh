#!/bin/sh
# Asks every compiler that can be had about the modules of every kind of adapter, and prints a table: `make portability`.
# `run.sh KIND ..` asks about some kinds only. Fails where a module does, or where no compiler is to be had.
set -u
cd "$(dirname "$0")/../.."
tools="$PWD/tools/portability"
"$tools/install.sh"
cargo build --features cli --example portability || exit 1
program="$PWD/target/debug/examples/portability"
folder="$PWD/target/portability"
results="$folder/results"
rm -rf "$folder/modules" "$results"
mkdir -p "$results" "$folder/wine"
"$program" modules "$folder/modules" "$@" || exit 1

# Runs a compiler's program until it has been through all modules: one that ends it is noted, and the next run goes on
# behind it. COMPILER KIND COMMAND .., to which the folder and the file of results are added.
ask() {
    file="$results/$1@$2.tsv"
    modules="$folder/modules/$2"
    [ -d "$modules" ] || return 0
    shift 2
    before=-1
    while :; do
        timeout 3600 "$@" "$modules" "$file" && return 0
        lines=$(wc -l <"$file" 2>/dev/null || echo 0)
        [ "$lines" -gt "$before" ] || return 0
        before=$lines
    done
}

# A driver of Vulkan by its manifest: NAME KIND MANIFEST.
drive() {
    [ -e "$3" ] || return 0
    ask "$1" "$2" env VK_DRIVER_FILES="$3" VK_ICD_FILENAMES="$3" MESA_SHADER_CACHE_DISABLE=true "$program" pipelines
}

# Vulkan's software drivers, and Tint, which runs on one of them.
vulkan() {
    drive SwiftShader swiftshader "$(tools/install-swiftshader.sh)"
    for manifest in /usr/share/vulkan/icd.d/lvp_icd*.json; do drive "Mesa of this system" llvmpipe "$manifest"; done
    [ -e "$folder/mesa/done" ] || return 0
    # The manifest names a library of the system.
    library="$folder/mesa/usr/lib/$(uname -m)-linux-gnu/libvulkan_lvp.so"
    manifest="$folder/mesa/lvp.json"
    echo "{\"file_format_version\": \"1.0.0\", \"ICD\": {\"library_path\": \"$library\", \"api_version\": \"1.3\"}}" >"$manifest"
    drive "Mesa of the backports" llvmpipe "$manifest"
    # Dawn, which Tint comes with, refuses the drivers of older Mesa.
    webgpu="$folder/npm/node_modules/webgpu/index.js"
    [ -e "$webgpu" ] || return 0
    for kind in gpu gpu-plain; do
        ask Tint $kind env VK_DRIVER_FILES="$manifest" VK_ICD_FILENAMES="$manifest" node "$tools/tint.mjs" "$webgpu"
    done
}

# A compiler for Windows: NAME KIND LIBRARY PROFILE.
windows() {
    ask "$1" "$2" env LD_LIBRARY_PATH="$debian/lib/x86_64-linux-gnu" WINEPREFIX="$folder/wine/prefix" WINEARCH=win64 \
        WINEDEBUG=-all WINESERVER="$debian/lib/wine/wineserver64" WINELOADER="$debian/lib/wine/wine64" \
        WINEDLLOVERRIDES="d3dcompiler_47=n;mscoree=;mshtml=" "$debian/lib/wine/wine64" "$folder/wine/compile.exe" "$3" "$4"
}

# DXC for Linux; FXC and DXC for Windows.
microsoft() {
    dxc=$(find "$folder/pypi" -name 'libdxcompiler*.so' 2>/dev/null | head -n 1)
    if [ -n "$dxc" ] && gcc -O2 -o "$folder/compile" "$tools/compile.c" -ldl; then
        for kind in gpu warp; do ask "DXC for Linux" $kind "$folder/compile" "$dxc" 6_6; done
    fi
    libraries="$folder/npm/node_modules/webgpu/dist/win32-x64"
    debian="$folder/debian/usr"
    { [ -e "$folder/debian/done" ] && [ -e "$libraries" ]; } || return 0
    cp "$libraries"/d3dcompiler_47.dll "$libraries"/dxcompiler.dll "$folder/wine"
    PATH="$debian/bin:$PATH" x86_64-w64-mingw32-gcc-win32 -O2 -static -Wl,--stack,67108864 \
        -o "$folder/wine/compile.exe" "$tools/compile.c" -lpthread || return 1
    # The links and files that installing Debian's packages would have made.
    ln -sf wineserver64 "$debian/lib/wine/wineserver"
    mkdir -p "$folder/wine/prefix/drive_c/windows/system32"
    cp "$debian/x86_64-w64-mingw32/lib/zlib1.dll" "$folder/wine/prefix/drive_c/windows/system32"
    for kind in gpu-plain warp-plain; do windows FXC $kind d3dcompiler_47.dll 5_1; done
    for kind in gpu warp; do windows "DXC for Windows" $kind dxcompiler.dll 6_6; done
}

# Variables that a function sets are its own in a process of the background.
vulkan &
first=$!
microsoft &
wait $! || exit 1
wait $first || exit 1

[ -n "$(ls "$results")" ] || { echo "portability: there is no compiler here" >&2; exit 1; }
"$program" table "$results" "$folder/modules"
