# shellcheck shell=bash
# Processes that scripts started: remembered by their number and the moment of their start, so that a number
# which went to somebody else is never taken for ours.

# process_start PID: when it started, in clock ticks since boot; nothing if there is no such process.
process_start() {
  local line
  line=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  line=${line##*) }
  set -- $line
  [[ $1 == Z ]] || printf '%s\n' "${20}"
}

# process_remember FILE PID
process_remember() { printf '%s %s\n' "$2" "$(process_start "$2")" >"$1"; }

# process_alive FILE: prints the number if the remembered process still runs.
process_alive() {
  local pid start
  [[ -r $1 ]] || return 1
  read -r pid start <"$1" || return 1
  [[ -n $start && $(process_start "$pid") == "$start" ]] && printf '%s\n' "$pid"
}

# process_end FILE SECONDS: asks it to end, insists after SECONDS, forgets it.
process_end() {
  local pid deadline=$((SECONDS + $2))
  if pid=$(process_alive "$1"); then
    # Also one that was stopped (SIGSTOP) takes the request.
    kill -TERM "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
    while process_alive "$1" >/dev/null; do
      if ((SECONDS >= deadline)); then
        kill -KILL "$pid" 2>/dev/null || true
        deadline=$((SECONDS + 5))
      fi
      sleep 0.05
    done
  fi
  rm -f "$1"
}
