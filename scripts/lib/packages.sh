# shellcheck shell=bash
# The Debian and Ubuntu packages that each purpose needs, and installing those that are missing.

# First of the given packages that the system offers or has.
packages_first_of() {
  local package
  for package in "$@"; do
    if dpkg -s "$package" >/dev/null 2>&1 || apt-cache show "$package" >/dev/null 2>&1; then
      printf '%s\n' "$package"
      return
    fi
  done
  printf '%s\n' "$1"
}

packages_for() {
  case $1 in
    build)
      printf '%s\n' g++ cmake ninja-build ccache mold pkg-config \
        libssl-dev zlib1g-dev libcurl4-openssl-dev libfmt-dev libspdlog-dev libtomlplusplus-dev libsodium-dev \
        libjwt-dev libsqlite3-dev libpq-dev libsystemd-dev libsoci-dev libcli11-dev
      # Debian 12 has 1.74 as its default; 1.81 is there beside it.
      packages_first_of libboost1.81-dev libboost1.83-dev libboost-dev
      packages_first_of libboost-json1.81-dev libboost-json1.83-dev libboost-json-dev
      ;;
    run) printf '%s\n' curl python3 procps openssh-client ;;
    lxd) printf '%s\n' lxd lxd-client busybox-static squashfs-tools uidmap ;;
    docker) printf '%s\n' docker.io busybox-static ;;
    test)
      printf '%s\n' libgtest-dev libgmock-dev postgresql openssl openssh-client openssh-server curl nodejs node-ws \
        python3 python3-pytest python3-requests python3-websockets python3-aiosmtpd
      ;;
    fuzz) printf '%s\n' clang-19 libclang-rt-19-dev ;;
  esac
}

packages_missing() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || printf '%s\n' "$package"
  done
}

packages_as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo "$@"
  else
    return 1
  fi
}

# packages_install PURPOSE: installs what is missing; false if something still is.
packages_install() {
  command -v dpkg-query >/dev/null || return 0
  local wanted missing
  mapfile -t wanted < <(packages_for "$1")
  mapfile -t missing < <(packages_missing "${wanted[@]}")
  [[ ${#missing[@]} -eq 0 ]] && return 0
  say "installing for $1: ${missing[*]}"
  # The index may be empty on a fresh machine, and then the choice between names was a guess.
  packages_as_root apt-get update -qq >&2 || { say "no right to install packages"; return 1; }
  mapfile -t wanted < <(packages_for "$1")
  mapfile -t missing < <(packages_missing "${wanted[@]}")
  packages_as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}
