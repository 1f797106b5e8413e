#!/usr/bin/env bash
# Makes the Debian package: quorate_VERSION_amd64.deb. `npm run package` does the same.
#
#   cluster/package/deb.sh [DIRECTORY]        prints the package's checksum and path
#
# The same commit makes the same bytes: all times are SOURCE_DATE_EPOCH, by default the commit's. Needs dpkg-deb, and no root.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
source "$here/../../scripts/setup.sh"
source "$here/stage.sh"

command -v dpkg-deb >/dev/null || {
  say 'dpkg-deb is needed to make a Debian package: on Debian and Ubuntu it is there, elsewhere install dpkg'
  exit 1
}
out=$(readlink -f -- "${1:-.}")
[[ -d $out ]] || {
  say "${1:-.} is not a directory"
  exit 2
}
ensure_installed
ensure_built
cd -- "$root"
version=$(node -p 'require("./package.json").version')
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null)} || {
  say 'SOURCE_DATE_EPOCH is needed where there is no git repository: seconds since 1970, of the release'
  exit 1
}
export SOURCE_DATE_EPOCH=$epoch LC_ALL=C TZ=UTC
stage=$(mktemp -d)
trap 'rm -rf -- "$stage"' EXIT
top=$stage/package
library=$top/usr/lib/quorate
docs=$top/usr/share/doc/quorate

put() { install -D -m "$1" "$2" "$top$3"; }

# The archive's files name /opt/quorate; the package's programs start through `run`, which says why.
put_adapted() {
  put "$1" "$2" "$3"
  sed -i -E -e 's#/usr/bin/node /opt/quorate/dist/([a-z-]+)\.mjs#/usr/lib/quorate/run \1#g' \
    -e 's#/opt/quorate/docs/#/usr/share/doc/quorate/#g' -e 's#/opt/quorate#/usr/lib/quorate#g' "$top$3"
}

stage_product "$library/package"
# Debian's libc only; and licences are in the copyright file.
find "$library/package/node_modules" -path '*/prebuilds/*' \( -name '*.musl.node' -o -type d ! -name linux-x64 \
  -path '*/prebuilds/linux-*' \) -prune -exec rm -r {} +
find "$library/package" -type f \( -iname 'LICENSE*' -o -name '*.md' \) -delete
# Of building and installing it, by hand.
(cd "$library/package/node_modules/node-gyp-build" && rm bin.js build-test.js optional.js)
put 755 cluster/package/debian/run /usr/lib/quorate/run
put 755 cluster/package/debian/quorate /usr/bin/quorate
put 755 cluster/host/softdog.sh /usr/lib/quorate/softdog

for unit in quorate.target quorate-executor.service quorate-agent.service drbd@.service.d/quorate.conf; do
  put_adapted 644 "cluster/systemd/$unit" "/usr/lib/systemd/system/$unit"
done
put 644 cluster/host/chrony-quorate.conf /etc/chrony/conf.d/quorate.conf
put 644 cluster/package/debian/needrestart.conf /etc/needrestart/conf.d/quorate.conf
mkdir -p "$top/etc/quorate"

mkdir -p "$docs"
node cluster/package/docs.mjs "$docs"
node cluster/package/copyright.mjs >"$docs/copyright"
printf 'quorate (%s) stable; urgency=medium\n\n  * See the history of the repository.\n\n -- %s  %s\n' "$version" \
  "$(sed -n 's/^Maintainer: //p' cluster/package/debian/control.in)" "$(date -uR -d "@$epoch")" | gzip -9n >"$docs/changelog.gz"
mkdir -p "$top/usr/share/bash-completion/completions" "$top/usr/share/zsh/vendor-completions"
node dist/quorate.mjs completion bash >"$top/usr/share/bash-completion/completions/quorate"
node dist/quorate.mjs completion zsh >"$top/usr/share/zsh/vendor-completions/_quorate"
mkdir -p "$top/usr/share/man/man1"
node dist/man-page.mjs "$epoch" | gzip -9n >"$top/usr/share/man/man1/quorate.1.gz"

same_modes "$top"
find "$top/usr/share/doc" "$library/package" -type f -exec chmod 644 {} +
chmod 750 "$top/etc/quorate"
# Names the folder that this program runs from: another content is another folder, also where the version is the same.
content=$(cd "$library/package" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
echo "$version-${content:0:12}" >"$library/package/build"
chmod 644 "$library/package/build"

mkdir "$top/DEBIAN"
size=$(find "$top" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
sed -e "s/@VERSION@/$version/" -e "s/@INSTALLED_SIZE@/$size/" cluster/package/debian/control.in >"$top/DEBIAN/control"
install -m 644 cluster/package/debian/conffiles "$top/DEBIAN/"
install -m 755 cluster/package/debian/{preinst,postinst,prerm,postrm} "$top/DEBIAN/"
(cd "$top" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$top/DEBIAN/md5sums"
chmod 644 "$top/DEBIAN/control" "$top/DEBIAN/md5sums"
chmod 755 "$top" "$top/DEBIAN"
find "$top" -exec touch --no-dereference --date="@$epoch" {} +

name=quorate_${version}_amd64.deb
# One thread: with more, the compressed bytes depend on the machine.
dpkg-deb --root-owner-group --uniform-compression -Zxz -z6 --threads-max=1 --build "$top" "$stage/$name" >/dev/null
mv -- "$stage/$name" "$out/$name"
sha256sum "$out/$name"
