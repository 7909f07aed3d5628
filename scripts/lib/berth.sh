# shellcheck shell=bash
# The daemon of a state folder: its configuration, its start, its description as JSON.

# berth_folder STATE: what the daemon itself keeps, apart from what an engine's guests must pass through.
berth_folder() { printf '%s/berth\n' "$1"; }

berth_binary() { printf '%s/build/release/src/app/berth\n' "$(build_root)"; }

# berth_default_port CONTRACT BASE: where scripts/run serves a contract; the documents' own ports without a base.
berth_default_port() {
  case $1 in
    container-rental) if [[ -n $2 ]]; then echo $(($2 + 50)); else echo 5000; fi ;;
    *) echo "${2:-8000}" ;;
  esac
}

# berth_write_configuration STATE BASE: only if there is none yet; what a person changed stays.
berth_write_configuration() {
  local state=$1 base=$2 file=$1/berth.toml address
  [[ -e $file ]] && return 0
  {
    printf '# For development: programs on this machine are answered without credentials.\n'
    printf '[state]\nfolder = %s\n\n[identity]\nanonymous = "loopback"\n' "$(json_string "$(berth_folder "$state")")"
    for address in 127.0.0.1 ::1; do
      # A machine without IPv6 has no ::1.
      [[ $address == ::1 && ! -e /proc/net/if_inet6 ]] && continue
      printf '\n[[listener]]\naddress = "%s"\nport = %s\n' "$address" "$(berth_default_port lxd-panel "$base")"
      printf 'mounts = [{ contract = "lxd-panel", prefix = "" }, { contract = "lxd-panel", prefix = "/lxd-panel" }, '
      printf '{ contract = "container-rental", prefix = "/container-rental" }]\n'
      printf '\n[[listener]]\naddress = "%s"\nport = %s\n' "$address" "$(berth_default_port container-rental "$base")"
      printf 'mounts = [{ contract = "container-rental", prefix = "" }]\n'
    done
  } >"$file.new"
  chmod 600 "$file.new"
  mv "$file.new" "$file"
}

# berth_url STATE CONTRACT: where its configuration serves a contract without a prefix, else with the first one;
# nothing if it is not served.
berth_url() {
  "$(berth_binary)" config show --config "$1/berth.toml" -o json | python3 -c 'import json, sys, re
settings = {s["key"]: s["value"] for s in json.load(sys.stdin)}
found = []
for key, value in settings.items():
    if not re.fullmatch(r"listener\.\d+\.mounts", key):
        continue
    port = settings[key.replace("mounts", "port")]
    for contract, prefix in re.findall(r"""contract = "([^"]*)", prefix = "([^"]*)\"""", value):
        if contract == sys.argv[1]:
            found.append((len(prefix), f"http://127.0.0.1:{port}{prefix}"))
print(min(found)[1] if found else "")' "$2"
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

# berth_add_server STATE NAME URL: a server of container-rental, if it is not there yet.
berth_add_server() {
  local state=$1 name=$2 url=$3 rental
  rental=$(berth_url "$state" container-rental)
  [[ -n $rental ]] || return 0
  if curl -sf --noproxy '*' --max-time 10 "$rental/api/servers" | grep -qF "$(json_string "$url")"; then return 0; fi
  curl -sf --noproxy '*' --max-time 30 -o /dev/null -H 'Content-Type: application/json' \
    -d "{\"name\":$(json_string "$name"),\"url\":$(json_string "$url")}" "$rental/api/servers" ||
    say "the server $name could not be added: $url"
}

# berth_describe STATE ENGINES: the one JSON object; ENGINES is a JSON object too.
berth_describe() {
  local state=$1 engines=$2 url rental
  url=$(berth_url "$state" lxd-panel)
  rental=$(berth_url "$state" container-rental)
  printf '{"url":%s,"contracts":{"lxd-panel":%s,"container-rental":%s},"admin":{"username":"admin","email":"admin@berth.local","password_file":%s},"engines":%s,"state":%s,"pid":%s,"metrics":%s}\n' \
    "$(json_string "$url")" "$(json_string "$url")" "$(json_string "$rental")" \
    "$(json_string "$(berth_folder "$state")/admin-password")" "$engines" \
    "$(json_string "$state")" "$(process_alive "$state/run/berth.pid")" "$(json_string "$url/metrics")"
}
