# Sourced by the commands that make something to install hosts from: what a host runs, in one place.

# stage_product TOP: the programs, what they read, and the package that is not bundled. Of the build as it is now.
stage_product() {
  mkdir -p "$root/.local"
  # The build may be replaced while it is copied.
  (
    flock 9
    stage_unlocked "$1"
  ) 9>"$root/.local/build.lock"
}

stage_unlocked() {
  local top=$1 name
  mkdir -p "$top"
  while IFS= read -r name; do
    mkdir -p "$top/dist/$(dirname -- "$name")"
    # Without maps there is nothing to name them for.
    sed '/^\/\/# sourceMappingURL=/d' "$root/dist/$name" >"$top/dist/$name"
  done < <(contents files)
  cp -r "$root/proto" "$root/package.json" "$root/LICENSE" "$top/"
  # What the bundles do not contain (`external` in scripts/build.mjs), and what that needs.
  while IFS= read -r name; do
    mkdir -p "$top/$name"
    cp -r "$root/$name/." "$top/$name/"
  done < <(contents external)
  find "$top/node_modules" -mindepth 3 -maxdepth 3 -path '*/prebuilds/*' -type d ! -name 'linux-*' -exec rm -r {} +
  find "$top/node_modules" -type d \( -name deps -o -name test \) -prune -exec rm -r {} +
  find "$top/node_modules" -type f \( -name '*.map' -o -name '*.cc' -o -name '*.gyp' -o -name '*.d.ts' \) -delete
}

# contents files|external: of dist/product.json, one a line.
contents() { node -p 'require(process.argv[1])[process.argv[2]].join("\n")' "$root/dist/product.json" "$1"; }

# same_modes DIRECTORY: whatever umask it was made with.
same_modes() {
  find "$1" -type d -exec chmod 755 {} +
  find "$1" -type f -exec chmod u=rwX,go=rX {} +
}
