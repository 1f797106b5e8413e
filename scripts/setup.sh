# Sourced by the commands of a checkout: checks Node, installs the packages, builds what is older than its source.
# Silent on stdout; does nothing, and needs no network, when nothing has changed.
# Several may start at once: one installs or builds, the others wait for it.

root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# Made last, dated when the build began: there is no stamp while dist is incomplete, and an edit during the build counts.
stamp=$root/dist/.built
installed=$root/node_modules/.package-lock.json

say() { printf 'quorate: %s\n' "$*" >&2; }

require_node() {
  local version=none
  if command -v node >/dev/null; then
    version=$(node --version)
    local major minor
    IFS=. read -r major minor _ <<<"${version#v}"
    # vite and vitest need 20.19, 22.12 or later.
    ((major > 22 || (major == 22 && minor >= 12) || (major == 20 && minor >= 19))) && return
  fi
  say "Node.js 20.19 (or 22.12, or newer) is needed, found $version: take it from https://nodejs.org/en/download"
  exit 1
}

is_built() {
  [[ -f $stamp && -f $root/dist/quorate.mjs ]] || return 1
  # One file newer than the stamp is enough; directories show what was deleted or renamed.
  [[ -z $(find "$root/src" "$root/cluster" "$root/scripts" "$root/package-lock.json" "$root/tsconfig.json" \
    \( -type d -o -name '*.ts' -o -name '*.tsx' -o -name '*.mjs' -o -name '*.json' \) -newer "$stamp" -print -quit 2>/dev/null) ]]
}

# npm keeps what it has installed in node_modules/.package-lock.json. Only when the lock file is younger is it worth
# comparing the two: a fresh checkout dates every file anew.
is_installed() {
  [[ -f $installed ]] || return 1
  [[ $root/package-lock.json -nt $installed ]] || return 0
  node -e '
    const [wanted, installed] = process.argv.slice(1).map((path) => JSON.parse(require("fs").readFileSync(path)).packages);
    const differs = Object.entries(wanted).some(([path, { version, optional }]) =>
      path !== "" && !(optional && installed[path] === undefined) && installed[path]?.version !== version);
    process.exit(differs ? 1 : 0);
  ' "$root/package-lock.json" "$installed" || return 1
  touch -- "$installed"
}

run_quietly() {
  local output
  if ! output=$("$@" 2>&1 </dev/null); then
    say "$* failed:"
    printf '%s\n' "$output" >&2
    exit 1
  fi
}

install_unlocked() {
  is_installed && return
  require_node
  if ! command -v npm >/dev/null; then
    say 'npm is needed: it comes with Node.js from https://nodejs.org/en/download'
    exit 1
  fi
  cd -- "$root"
  run_quietly npm ci --no-audit --no-fund
}

build_unlocked() {
  is_built && return
  install_unlocked
  local began
  began=$(mktemp)
  rm -f -- "$stamp"
  cd -- "$root"
  run_quietly node scripts/build.mjs
  mv -- "$began" "$stamp"
}

locked() {
  mkdir -p -- "$root/.local"
  (
    flock 9
    "$@"
  ) 9>"$root/.local/build.lock"
}

ensure_installed() { is_installed || locked install_unlocked; }
ensure_built() { is_built || locked build_unlocked; }

# offer_debian REASON COMMAND=PACKAGE…: as root on Debian, installs the packages whose command is not there. Elsewhere, and where it
# cannot, whoever needs the command says so and is skipped.
offer_debian() {
  [[ -e /etc/debian_version && $(id -u) == 0 ]] || return 0
  local reason=$1 wanted=() pair
  shift
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || wanted+=("${pair#*=}")
  done
  ((${#wanted[@]} > 0)) || return 0
  say "installing ${wanted[*]}, $reason"
  local apt=(apt-get -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=15 -o DPkg::Lock::Timeout=60)
  # The packages' own services must not start here.
  local install=(timeout 240 env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 "${apt[@]}" install --yes --no-install-recommends)
  "${install[@]}" "${wanted[@]}" &>/dev/null </dev/null && return
  { timeout 60 "${apt[@]}" update && "${install[@]}" "${wanted[@]}"; } &>/dev/null </dev/null ||
    say "could not install ${wanted[*]}"
}

# What the resources of a host call, and the networks that they are tried in.
NETWORK_TOOLS=(ip=iproute2 nft=nftables arping=iputils-arping ndptool=libndp-tools ping=iputils-ping fuser=psmisc)

# What the lab needs on this machine; what its guests need is only unpacked (cluster/lab/packages.ts).
LAB_TOOLS=(ip=iproute2 nft=nftables mkfs.ext4=e2fsprogs)
QEMU_TOOLS=(qemu-system-x86_64=qemu-system-x86)
ZFS_BUILD_TOOLS=(gcc=gcc make=make bc=bc strip=binutils)
