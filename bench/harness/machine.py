"""The machine: what it is, what it has installed, how long a program of it has computed."""

import datetime
import os
import pathlib
import platform
import shutil
import socket
import statistics
import subprocess
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# program → Debian's package
PROGRAMS = {"wrk": "wrk", "nginx": "nginx-light", "taskset": "util-linux", "cmake": "cmake", "ninja": "ninja-build"}


def install(programs):
    """Installs what is missing, as root; otherwise says what to install."""
    missing = sorted({PROGRAMS.get(name, name) for name in programs if not shutil.which(name)})
    if not missing:
        return
    if os.geteuid() != 0:
        raise SystemExit(f"missing: apt-get install {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True,
                   env=environment)


def describe():
    """What a result must be read beside."""
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as lines:
        memory = int(lines.readline().split()[1]) // 1024
    commit = subprocess.run(["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"], capture_output=True,
                            text=True, check=False).stdout.strip()
    dirty = subprocess.run(["git", "-C", str(REPOSITORY), "status", "--porcelain", "--untracked-files=no"],
                           capture_output=True, text=True, check=False).stdout.strip()
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_mib": memory,
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "commit": commit + ("+changes" if dirty else ""),
    }


def server_core():
    return sorted(os.sched_getaffinity(0))[0]


def load_core():
    """Another core than the server's, where there is one."""
    return sorted(os.sched_getaffinity(0))[-1]


def pinned(core, command):
    return ["taskset", "--cpu-list", str(core), *command]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def memory_mib(pid, field="VmRSS"):
    """VmRSS now, or VmHWM: the most that it ever was."""
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {field} of {pid}")


def cpu_seconds_by_thread(pid):
    """Processor time by thread name, to the nanosecond; threads of one name are added up."""
    used = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text(encoding="utf-8").strip()
            nanoseconds = int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except OSError:
            continue  # ended meanwhile
        used[name] = used.get(name, 0) + nanoseconds / 1e9
    return used


def _children(pid):
    children = []
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything; the parent is the second field behind it.
            parent = int(status.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # ended meanwhile
        if parent == pid:
            children.append(int(status.parent.name))
    return children


def cpu_seconds(pid):
    """Processor time of a process and its children."""
    return sum(cpu_seconds_by_thread(pid).values()) + sum(cpu_seconds(child) for child in _children(pid))


class MemoryWatch:
    """Reads the resident memory of a process every so often until it is told to end."""

    def __init__(self, pid, every=0.5):
        self.samples = []
        self._pid = pid
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._begun = time.monotonic()
        self._thread.start()

    def _run(self):
        while not self._ended.wait(self._every):
            try:
                self.samples.append((time.monotonic() - self._begun, memory_mib(self._pid)))
            except (OSError, RuntimeError):
                return

    def end(self):
        self._ended.set()
        self._thread.join()
        return self.samples

    @staticmethod
    def quarters(samples):
        """The medians of the first and the last quarter."""
        size = max(1, len(samples) // 4)
        values = [value for _, value in samples]
        return statistics.median(values[:size]), statistics.median(values[-size:])


def percentile(values, share):
    """The nearest rank; of few values the 99th is the worst one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
