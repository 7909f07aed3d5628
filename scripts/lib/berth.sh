# shellcheck shell=bash
# The daemon of a state folder: its configuration, its start, its description as JSON.

# berth_folder STATE: what the daemon itself keeps, apart from what an engine's guests must pass through.
berth_folder() { printf '%s/berth\n' "$1"; }

berth_binary() { printf '%s/build/release/src/app/berth\n' "$(build_root)"; }

# berth_write_configuration STATE PORT: only if there is none yet; what a person changed stays.
berth_write_configuration() {
  local state=$1 port=$2 file=$1/berth.toml address
  [[ -e $file ]] && return 0
  {
    printf '# For development: programs on this machine are answered without credentials.\n'
    printf '[state]\nfolder = %s\n\n[identity]\nanonymous = "loopback"\n' "$(json_string "$(berth_folder "$state")")"
    for address in 127.0.0.1 ::1; do
      # A machine without IPv6 has no ::1.
      [[ $address == ::1 && ! -e /proc/net/if_inet6 ]] && continue
      printf '\n[[listener]]\naddress = "%s"\nport = %s\n' "$address" "$port"
      printf 'mounts = [{ contract = "lxd-panel", prefix = "" }, { contract = "lxd-panel", prefix = "/lxd-panel" }]\n'
    done
  } >"$file.new"
  chmod 600 "$file.new"
  mv "$file.new" "$file"
}

# berth_port STATE: the port in its configuration.
berth_port() {
  "$(berth_binary)" config show --config "$1/berth.toml" -o json |
    python3 -c 'import json, sys
print(next(s["value"] for s in json.load(sys.stdin) if s["key"] == "listener.0.port"))'
}

# berth_launch STATE LXD_DIR: starts it in the background.
berth_launch() {
  local state=$1 pid
  LXD_DIR=$2 setsid "$(berth_binary)" serve --config "$state/berth.toml" >>"$state/log/berth.log" 2>&1 </dev/null &
  pid=$!
  process_remember "$state/run/berth.pid" "$pid"
  disown "$pid"
}

# berth_wait_healthy STATE URL
berth_wait_healthy() {
  local state=$1 url=$2 deadline=$((SECONDS + 30))
  until curl -sf --noproxy '*' --max-time 5 -o /dev/null "$url/api/health"; do
    if ! process_alive "$state/run/berth.pid" >/dev/null; then
      tail -20 "$state/log/berth.log" >&2
      return 1
    fi
    ((SECONDS < deadline)) || { tail -20 "$state/log/berth.log" >&2; return 1; }
    sleep 0.05
  done
}

# berth_describe STATE URL LXD_DIR IMAGE: the one JSON object.
berth_describe() {
  local state=$1 url=$2 directory=$3 image=$4 engines='{}'
  if [[ -n $directory ]]; then
    engines=$(printf '{"lxd":{"LXD_DIR":%s,"image":%s}}' "$(json_string "$directory")" \
      "$([[ -n $image ]] && json_string "$image" || printf null)")
  fi
  printf '{"url":%s,"contracts":{"lxd-panel":%s},"admin":{"username":"admin","email":"admin@berth.local","password_file":%s},"engines":%s,"state":%s,"pid":%s,"metrics":%s}\n' \
    "$(json_string "$url")" "$(json_string "$url")" "$(json_string "$(berth_folder "$state")/admin-password")" "$engines" \
    "$(json_string "$state")" "$(process_alive "$state/run/berth.pid")" "$(json_string "$url/metrics")"
}
