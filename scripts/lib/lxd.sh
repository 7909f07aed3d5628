# shellcheck shell=bash
# A private LXD in a state folder. Needs root. All of its files are below STATE/lxd; its LXD_DIR is a short link
# to that, because LXD puts unix sockets deep below it and their paths are limited to 107 bytes.

LXD_IMAGE=berth-busybox

# lxd_found: the folder of the LXD or Incus that this machine runs already; nothing if it runs none.
lxd_found() {
  local folder
  for folder in ${LXD_DIR:+"$LXD_DIR"} /var/snap/lxd/common/lxd /var/lib/lxd /var/lib/incus; do
    if [[ -S $folder/unix.socket ]] &&
      curl -sf --max-time 5 --unix-socket "$folder/unix.socket" http://lxd/1.0 >/dev/null 2>&1; then
      printf '%s\n' "$folder"
      return
    fi
  done
}

# lxd_directory STATE: the private LXD's LXD_DIR.
lxd_directory() {
  local state=$1
  if ((${#state} <= 30)); then
    printf '%s\n' "$state/lxd"
  else
    printf '/run/berth-%s/d\n' "$(printf '%s' "$state" | sha256sum | cut -c1-8)"
  fi
}

# lxd_private STATE COMMAND...: runs a command for the private LXD, in place of the calling (sub)shell.
lxd_private() { exec env LXD_DIR="$(lxd_directory "$1")" LXD_CONF="$1/lxd-client" LC_ALL=C.UTF-8 "${@:2}"; }

# lxd_possible: false, saying why, where a private LXD cannot be started.
lxd_possible() {
  [[ $EUID -eq 0 ]] || { say "LXD needs root: going on without it"; return 1; }
  packages_install lxd || { say "LXD cannot be installed: going on without it"; return 1; }
  command -v lxd >/dev/null && command -v lxc >/dev/null || { say "there is no LXD here: going on without it"; return 1; }
}

# lxd_start STATE: starts it, or finds it running; false if it does not come up.
lxd_start() {
  local state=$1 directory pid
  process_alive "$state/run/lxd.pid" >/dev/null && return 0
  say "starting a private LXD in $state/lxd"
  mkdir -p "$state/lxd" "$state/lxd-client"
  # Guests run as users of their own, and the way to their files leads through here.
  chmod 711 "$state" "$state/lxd"
  directory=$(lxd_directory "$state")
  if [[ $directory != "$state/lxd" ]]; then
    mkdir -p -m 711 "${directory%/d}"
    ln -sfn "$state/lxd" "$directory"
  fi
  (lxd_private "$state" setsid lxd --group root) >>"$state/log/lxd.log" 2>&1 </dev/null &
  pid=$!
  process_remember "$state/run/lxd.pid" "$pid"
  disown "$pid"
  (lxd_private "$state" lxd waitready --timeout 60) >&2 || { tail -5 "$state/log/lxd.log" >&2; return 1; }
  lxd_prepare "$state"
}

# Storage, the profile's root disk and the image, each only if it is not there yet.
lxd_prepare() {
  local state=$1 image
  lxc() { (lxd_private "$state" lxc --force-local "$@"); }
  lxc storage show default >/dev/null 2>&1 || lxc storage create default dir >&2
  lxc profile device get default root path >/dev/null 2>&1 ||
    lxc profile device add default root disk path=/ pool=default >&2
  if ! lxc image info "$LXD_IMAGE" >/dev/null 2>&1; then
    image=$state/run/busybox.tar.gz
    "$(build_root)/scripts/lib/make-busybox-image" "$image" >&2
    lxc image import "$image" --alias "$LXD_IMAGE" >&2
    rm -f "$image"
  fi
  unset -f lxc
}

# lxd_monitors DIRECTORY: the monitors of its containers, each a process that outlives the daemon.
lxd_monitors() {
  local process
  for process in /proc/[0-9]*; do
    if { tr "\0" " " <"$process/cmdline"; } 2>/dev/null | grep -qF "[lxc monitor] $1/"; then
      printf '%s\n' "${process#/proc/}"
    fi
  done
}

# lxd_stop STATE: ends its instances, it, and what it mounted. Its files stay.
lxd_stop() {
  local state=$1 directory monitor guest mount
  [[ -e $state/run/lxd.pid ]] || return 0
  directory=$(lxd_directory "$state")
  if process_alive "$state/run/lxd.pid" >/dev/null; then
    say "stopping the private LXD"
    kill -CONT "$(process_alive "$state/run/lxd.pid")" 2>/dev/null || true
    (lxd_private "$state" timeout 60 lxd shutdown --timeout 30) >&2 || true
  fi
  process_end "$state/run/lxd.pid" 20
  # Instances that did not go with it (it hung, or was killed): the monitor ends when its guest does.
  for monitor in $(lxd_monitors "$directory"); do
    kill -CONT "$monitor" 2>/dev/null || true
    { tr ' ' '\n' <"/proc/$monitor/task/$monitor/children" || true; } 2>/dev/null | while read -r guest; do
      kill -KILL "$guest" 2>/dev/null || true
    done
    process_remember "$state/run/monitor.pid" "$monitor"
    process_end "$state/run/monitor.pid" 5
  done
  { grep -F -e " $state/lxd/" -e " $directory/" /proc/self/mounts || true; } | cut -d' ' -f2 | sort -r | while read -r mount; do
    umount -l "$(printf '%b' "$mount")" 2>/dev/null || true
  done
  [[ $directory == "$state/lxd" ]] || rm -rf "${directory%/d}"
}
