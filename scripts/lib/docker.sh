# shellcheck shell=bash
# Private Docker engines in a state folder, numbered from 1. Each has its files below STATE/dockerN; where that path is
# long, its sockets are in a folder of /run, because their paths are limited to 107 bytes (Docker takes no link for
# that). Needs root.

# shellcheck disable=SC2034
DOCKER_IMAGE=berth-busybox:latest

# docker_found: the socket of the Docker or Podman that this machine runs already; nothing if it runs none.
docker_found() {
  local socket host=${DOCKER_HOST:-}
  host=${host#unix://}
  for socket in ${host:+"$host"} /run/docker.sock /run/podman/podman.sock; do
    if [[ -S $socket ]] && docker_answers "$socket"; then
      printf '%s\n' "$socket"
      return
    fi
  done
}

# docker_answers SOCKET
docker_answers() { curl -sf --max-time 5 -o /dev/null --unix-socket "$1" http://docker/_ping 2>/dev/null; }

# docker_directory STATE NUMBER: the folder of a private one's sockets and of what lives while it runs.
docker_directory() {
  local state=$1 number=$2
  if ((${#state} <= 30)); then
    printf '%s/docker%s\n' "$state" "$number"
  else
    printf '/run/berth-%s/k%s\n' "$(printf '%s' "$state" | sha256sum | cut -c1-8)" "$number"
  fi
}

# docker_socket STATE NUMBER
docker_socket() { printf '%s/docker.sock\n' "$(docker_directory "$1" "$2")"; }

# docker_possible: false, saying why, where a private Docker cannot be started.
docker_possible() {
  [[ $EUID -eq 0 ]] || { say "Docker needs root: going on without it"; return 1; }
  packages_install docker || { say "Docker cannot be installed: going on without it"; return 1; }
  docker_daemon >/dev/null || { say "there is no Docker here: going on without it"; return 1; }
}

# docker_daemon: the program; the machine may not have its folder in the PATH.
docker_daemon() { command -v dockerd || { [[ -x /usr/sbin/dockerd ]] && echo /usr/sbin/dockerd; }; }

# docker_start STATE NUMBER: starts it, or finds it running; false if it does not come up.
docker_start() {
  local state=$1 number=$2 directory pid deadline
  process_alive "$state/run/docker$number.pid" >/dev/null && return 0
  say "starting a private Docker in $state/docker$number"
  mkdir -p "$state/docker$number" "$state/run" "$state/log"
  chmod 711 "$state/docker$number"
  directory=$(docker_directory "$state" "$number")
  mkdir -p "$directory"
  chmod 711 "$directory"
  # Left behind by one that was killed; also its containerd counts as alive until somebody has reaped it.
  rm -f "$directory/docker.pid"
  if read -r pid 2>/dev/null <"$directory/exec/containerd/containerd.pid" || [[ -n ${pid:-} ]]; then
    [[ -n $(process_start "$pid") ]] || rm -f "$directory/exec/containerd/containerd.pid"
  fi
  # Nothing of the machine's own network is touched.
  (exec setsid "$(docker_daemon)" --data-root "$state/docker$number/data" --exec-root "$directory/exec" \
    -H "unix://$directory/docker.sock" --pidfile "$directory/docker.pid" \
    --bridge=none --iptables=false --ip6tables=false) >>"$state/log/docker$number.log" 2>&1 </dev/null &
  pid=$!
  process_remember "$state/run/docker$number.pid" "$pid"
  disown "$pid"
  deadline=$((SECONDS + 60))
  until docker_answers "$directory/docker.sock"; do
    if ((SECONDS >= deadline)) || ! process_alive "$state/run/docker$number.pid" >/dev/null; then
      tail -5 "$state/log/docker$number.log" >&2
      return 1
    fi
    sleep 0.1
  done
  docker_prepare "$state" "$number"
}

# The image, if it is not there yet.
docker_prepare() {
  local state=$1 number=$2 socket file
  socket=$(docker_socket "$state" "$number")
  curl -sf -o /dev/null --unix-socket "$socket" "http://docker/images/$DOCKER_IMAGE/json" && return 0
  file=$state/run/busybox-$number.tar
  "$(build_root)/scripts/lib/make-busybox-image" --root "$file" >&2
  docker_import "$socket" "$file" "$DOCKER_IMAGE"
  rm -f "$file"
}

# docker_import SOCKET FILE IMAGE: makes an image of the tar of a root that has /sbin/idle.
docker_import() {
  curl -sf -o /dev/null --unix-socket "$1" -X POST -H 'Content-Type: application/x-tar' -T "$2" \
    "http://docker/images/create?fromSrc=-&repo=${3%:*}&tag=${3##*:}&changes=CMD%20%5B%22%2Fsbin%2Fidle%22%5D&changes=ENV%20PATH%3D%2Fbin%3A%2Fsbin%3A%2Fusr%2Fbin%3A%2Fusr%2Fsbin"
}

# docker_shims DIRECTORY: the processes above its containers, each of which outlives the daemon.
docker_shims() {
  local process
  for process in /proc/[0-9]*; do
    if { tr "\0" " " <"$process/cmdline"; } 2>/dev/null | grep -qF -- "-address $1/exec/containerd/"; then
      printf '%s\n' "${process#/proc/}"
    fi
  done
}

# docker_stop STATE: ends the private ones, their containers, and what they mounted. Their files stay.
docker_stop() {
  local state=$1 folder number
  for folder in "$state"/docker[0-9]*; do
    number=${folder##*/docker}
    [[ -d $folder ]] && docker_stop_one "$state" "$number"
  done
  return 0
}

docker_stop_one() {
  local state=$1 number=$2 directory name shim guest mount
  directory=$(docker_directory "$state" "$number")
  if process_alive "$state/run/docker$number.pid" >/dev/null; then say "stopping the private Docker $number"; fi
  # It ends its containers with it.
  process_end "$state/run/docker$number.pid" 20
  # What did not go with it, because it hung or was killed: its own containerd, and the containers under their shims.
  if [[ -r $directory/exec/containerd/containerd.pid ]]; then
    read -r name <"$directory/exec/containerd/containerd.pid" || name=
    if [[ -n $name ]] && { tr "\0" " " <"/proc/$name/cmdline"; } 2>/dev/null | grep -qF "$directory/exec/containerd/"; then
      process_remember "$state/run/containerd.pid" "$name"
      process_end "$state/run/containerd.pid" 5
    fi
  fi
  for shim in $(docker_shims "$directory"); do
    kill -CONT "$shim" 2>/dev/null || true
    { tr ' ' '\n' <"/proc/$shim/task/$shim/children" || true; } 2>/dev/null | while read -r guest; do
      kill -KILL "$guest" 2>/dev/null || true
    done
    process_remember "$state/run/shim.pid" "$shim"
    process_end "$state/run/shim.pid" 5
  done
  { grep -F -e " $state/docker$number/" -e " $directory/" /proc/self/mounts || true; } | cut -d' ' -f2 | sort -r |
    while read -r mount; do
      umount -l "$(printf '%b' "$mount")" 2>/dev/null || true
    done
  if [[ $directory != "$state/docker$number" ]]; then
    rm -rf "$directory"
    rmdir "${directory%/*}" 2>/dev/null || true
  fi
}
