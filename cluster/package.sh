#!/usr/bin/env bash
# Makes the archive that a host without Debian's package manager is installed from: quorate-VERSION.tgz, with all that runs and
# nothing that builds. The Debian package: cluster/package/deb.sh.
#
#   cluster/package.sh [DIRECTORY]        prints the archive's checksum and path
#
# One archive is for all kinds of Linux hosts: the only native code is LevelDB's, which its package brings for each.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
source "$here/../scripts/setup.sh"
source "$here/package/stage.sh"

out=$(readlink -f -- "${1:-.}")
ensure_installed
ensure_built
cd -- "$root"
version=$(node -p 'require("./package.json").version')
stage=$(mktemp -d)
trap 'rm -rf -- "$stage"' EXIT
top=$stage/quorate-$version

stage_product "$top"
mkdir -p "$top/cluster" "$top/docs"
cp -R docs/. "$top/docs/"
cp -r cluster/systemd cluster/host cluster/aws cluster/vmware "$top/cluster/"

# The same bytes from the same files, whoever makes it and when.
same_modes "$top"
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$stage" -c "quorate-$version" | gzip -9n > "$out/quorate-$version.tgz"
sha256sum "$out/quorate-$version.tgz"
