#!/usr/bin/env bash
# Makes the archive that a host is installed from: quorate-VERSION.tgz, with all that runs and nothing that builds.
#
#   cluster/package.sh [DIRECTORY]        prints the archive's checksum and path
#
# One archive is for all kinds of Linux hosts: the only native code is LevelDB's, which its package brings for each.
set -euo pipefail
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../scripts/setup.sh"

out=$(readlink -f -- "${1:-.}")
ensure_installed
ensure_built
cd -- "$root"
version=$(node -p 'require("./package.json").version')
stage=$(mktemp -d)
trap 'rm -rf -- "$stage"' EXIT
top=$stage/quorate-$version
mkdir -p "$top/dist" "$top/cluster" "$top/docs"

# The build may be replaced while it is copied.
mkdir -p "$root/.local"
flock "$root/.local/build.lock" cp -r dist/quorate.mjs dist/executor.mjs dist/guard.mjs dist/spawn-helper.mjs dist/chunks "$top/dist/"
cp -r proto package.json LICENSE "$top/"
cp -R docs/. "$top/docs/"
cp -r cluster/systemd cluster/host cluster/aws cluster/vmware "$top/cluster/"

# What the bundles do not contain (`external` in scripts/build.mjs), and what that needs.
copy_package() {
  [[ -d $top/node_modules/$1 ]] && return
  mkdir -p "$top/node_modules/$1"
  cp -r "node_modules/$1/." "$top/node_modules/$1/"
  local needed
  for needed in $(node -p 'Object.keys(require(`./node_modules/${process.argv[1]}/package.json`).dependencies ?? {}).join(" ")' "$1"); do
    copy_package "$needed"
  done
}
copy_package classic-level
find "$top/node_modules" -mindepth 3 -maxdepth 3 -path '*/prebuilds/*' -type d ! -name 'linux-*' -exec rm -r {} +
find "$top/node_modules" -type d \( -name deps -o -name test \) -prune -exec rm -r {} +
find "$top" -name '*.map' -delete

# The same bytes from the same files, whoever makes it and when.
find "$top" -type d -exec chmod 755 {} +
find "$top" -type f -exec chmod u=rwX,go=rX {} +
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$stage" -c "quorate-$version" | gzip -9n > "$out/quorate-$version.tgz"
sha256sum "$out/quorate-$version.tgz"
