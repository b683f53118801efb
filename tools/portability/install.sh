#!/bin/sh
# Puts the compilers that `make portability` asks under target/portability; nothing is installed. What can't be had is said,
# and left out.
#
#   debian/   Wine and mingw, unpacked from Debian's packages
#   mesa/     llvmpipe of Debian's backports
#   npm/      webgpu, which has Tint (in Dawn), FXC and DXC for Windows
#   pypi/     compushady-lrtu, which has DXC for Linux
set -u
cd "$(dirname "$0")/../.."
folder="$PWD/target/portability"
mkdir -p "$folder"
cd "$folder" || exit 1

lack() { echo "portability: no $1: $2" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# Downloads packages with all they need that is not installed, and unpacks them: FOLDER PACKAGE .. [-- OPTION ..]
unpack() {
    to=$1; shift
    packages=""
    while [ $# -gt 0 ] && [ "$1" != -- ]; do packages="$packages $1"; shift; done
    [ $# -gt 0 ] && shift
    mkdir -p "$to/archives/partial"
    # shellcheck disable=SC2086
    apt-get -qq -y -o Debug::NoLocking=1 -o "Dir::Cache::archives=$PWD/$to/archives" "$@" \
        --download-only --no-install-recommends install $packages >/dev/null 2>&1 || return 1
    for archive in "$to"/archives/*.deb; do
        [ -e "$archive" ] && dpkg-deb -x "$archive" "$to" || return 1
    done
    rm -rf "$to/archives"
    touch "$to/done"
}

if has apt-get; then
    [ -e debian/done ] || unpack debian wine64 gcc-mingw-w64-x86-64-win32 libz-mingw-w64 ||
        lack "Wine" "apt-get can't find wine64 and gcc-mingw-w64-x86-64-win32 (apt-get update?)"
    # Lists of the backports, at the mirror that the system's own come from.
    if [ ! -e mesa/done ]; then
        codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
        site=$(apt-get indextargets --format '$(ORIGIN) $(SITE)' 2>/dev/null | sed -n 's/^Debian //p' | head -n 1)
        mkdir -p mesa/lists/partial mesa/parts
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $codename-backports main" >mesa/sources.list
        lists="-o Dir::Etc::sourcelist=$PWD/mesa/sources.list -o Dir::Etc::sourceparts=$PWD/mesa/parts"
        # shellcheck disable=SC2086
        { [ -n "$site" ] && apt-get -qq $lists -o "Dir::State::lists=$PWD/mesa/lists" -o Debug::NoLocking=1 update >/dev/null 2>&1 &&
            (cd mesa && apt-get -qq $lists -o "Dir::State::lists=$PWD/lists" download mesa-vulkan-drivers >/dev/null 2>&1 &&
                dpkg-deb -x mesa-vulkan-drivers_*.deb . && rm -f ./*.deb && touch done); } ||
            lack "newer Mesa" "apt-get finds no mesa-vulkan-drivers in $codename-backports"
    fi
else
    lack "Wine and newer Mesa" "they are unpacked from Debian's packages, by apt-get"
fi

if has npm; then
    [ -e npm/node_modules/webgpu ] || npm install --silent --ignore-scripts --no-audit --no-fund --prefix npm webgpu@0.6.2 >/dev/null ||
        lack "Tint, FXC and DXC for Windows" "npm can't install webgpu"
else
    lack "Tint, FXC and DXC for Windows" "they come with npm's webgpu, and there is no npm"
fi

if has pip; then
    [ -e pypi/compushady ] || pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target pypi compushady-lrtu ||
        lack "DXC for Linux" "pip can't install compushady-lrtu"
else
    lack "DXC for Linux" "it comes with PyPI's compushady-lrtu, and there is no pip"
fi
exit 0
