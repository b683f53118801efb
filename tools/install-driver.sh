#!/bin/sh
# Installs a software Vulkan driver where the machine has no Vulkan driver at all, so that wgrad has an adapter.
# Does nothing where there is one. Says what to install where it can't, and fails only with --require.
set -u

has_loader() {
    ldconfig=$(PATH="$PATH:/sbin:/usr/sbin" command -v ldconfig) || return 0 # Can't tell: let wgpu find out.
    "$ldconfig" -p 2>/dev/null | grep -q 'libvulkan\.so\.1'
}

has_driver() {
    has_loader || return 1
    for folder in /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d "${HOME:-/}/.local/share/vulkan/icd.d"; do
        [ -n "$(ls "$folder" 2>/dev/null)" ] && return 0
    done
    [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]
}

case "$(uname -s)" in
    Darwin | MINGW* | MSYS*) exit 0 ;; # Metal and DX12 are always there.
esac
has_driver && exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1; then as_root="sudo"; else as_root="none"; fi
fi

install() {
    [ "$as_root" = none ] && return 1
    if command -v apt-get >/dev/null 2>&1; then
        $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mesa-vulkan-drivers libvulkan1 >/dev/null
    elif command -v dnf >/dev/null 2>&1; then
        $as_root dnf install -y -q mesa-vulkan-drivers vulkan-loader
    elif command -v pacman >/dev/null 2>&1; then
        $as_root pacman -S --noconfirm --needed vulkan-swrast vulkan-icd-loader
    else
        return 1
    fi
}

echo "no Vulkan driver here: installing a software one" >&2
if install && has_driver; then
    exit 0
fi
echo "could not install a Vulkan driver; install one by hand: mesa-vulkan-drivers (Debian, Ubuntu, Fedora) or vulkan-swrast (Arch)" >&2
[ "${1:-}" = "--require" ] && exit 1
exit 0
