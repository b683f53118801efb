#!/bin/sh
# Asks every compiler that can be had about the modules of every kind of adapter, and prints a table: `make portability`.
# `run.sh KIND ..` asks about some kinds only. Fails where a module does, or where no compiler is to be had.
set -u
cd "$(dirname "$0")/../.."
tools="$PWD/tools/portability"
"$tools/install.sh"
cargo build --example portability || exit 1
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

# Vulkan's software drivers.
drive() {
    [ -e "$3" ] || return 0
    ask "$1" "$2" env VK_DRIVER_FILES="$3" VK_ICD_FILENAMES="$3" MESA_SHADER_CACHE_DISABLE=true "$program" pipelines
}
drive SwiftShader swiftshader "$(tools/install-swiftshader.sh)"
for manifest in /usr/share/vulkan/icd.d/lvp_icd*.json; do drive "Mesa of this system" llvmpipe "$manifest"; done
if [ -e "$folder/mesa/done" ]; then
    # The manifest names a library of the system.
    library="$folder/mesa/usr/lib/$(uname -m)-linux-gnu/libvulkan_lvp.so"
    manifest="$folder/mesa/lvp.json"
    echo "{\"file_format_version\": \"1.0.0\", \"ICD\": {\"library_path\": \"$library\", \"api_version\": \"1.3\"}}" >"$manifest"
    drive "Mesa of the backports" llvmpipe "$manifest"
fi

# DXC for Linux.
dxc=$(find "$folder/pypi" -name 'libdxcompiler*.so' 2>/dev/null | head -n 1)
if [ -n "$dxc" ] && gcc -O2 -o "$folder/compile" "$tools/compile.c" -ldl; then
    for kind in gpu warp; do ask "DXC for Linux" $kind "$folder/compile" "$dxc" 6_6; done
fi

# FXC and DXC for Windows.
libraries="$folder/npm/node_modules/webgpu/dist/win32-x64"
debian="$folder/debian/usr"
windows() {
    ask "$1" "$2" env LD_LIBRARY_PATH="$debian/lib/x86_64-linux-gnu" WINEPREFIX="$folder/wine/prefix" WINEARCH=win64 \
        WINEDEBUG=-all WINESERVER="$debian/lib/wine/wineserver64" WINELOADER="$debian/lib/wine/wine64" \
        WINEDLLOVERRIDES="d3dcompiler_47=n;mscoree=;mshtml=" "$debian/lib/wine/wine64" "$folder/wine/compile.exe" "$3" "$4"
}
if [ -e "$folder/debian/done" ] && [ -e "$libraries" ]; then
    cp "$libraries"/d3dcompiler_47.dll "$libraries"/dxcompiler.dll "$folder/wine"
    PATH="$debian/bin:$PATH" x86_64-w64-mingw32-gcc-win32 -O2 -static -Wl,--stack,67108864 \
        -o "$folder/wine/compile.exe" "$tools/compile.c" -lpthread || exit 1
    # What installing Debian's packages would have done.
    ln -sf wineserver64 "$debian/lib/wine/wineserver"
    mkdir -p "$folder/wine/prefix/drive_c/windows/system32"
    cp "$debian/x86_64-w64-mingw32/lib/zlib1.dll" "$folder/wine/prefix/drive_c/windows/system32"
    for kind in gpu-plain warp-plain; do windows FXC $kind d3dcompiler_47.dll 5_1; done
    for kind in gpu warp; do windows "DXC for Windows" $kind dxcompiler.dll 6_6; done
fi

# Tint. Dawn, which it comes with, refuses the drivers of older Mesa.
webgpu="$folder/npm/node_modules/webgpu/index.js"
if [ -e "$webgpu" ] && [ -e "$folder/mesa/done" ]; then
    for kind in gpu gpu-plain; do
        ask Tint $kind env VK_DRIVER_FILES="$manifest" VK_ICD_FILENAMES="$manifest" node "$tools/tint.mjs" "$webgpu"
    done
fi

[ -n "$(ls "$results")" ] || { echo "portability: there is no compiler here" >&2; exit 1; }
"$program" table "$results" "$folder/modules"
