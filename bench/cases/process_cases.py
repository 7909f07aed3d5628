"""The process by itself: how soon it is there, what it costs while nobody asks, how long it takes to build."""

import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

from harness import machine
from harness.berth import Berth
from harness.report import Row

# What the five-second tick is done by; everything else is idle cost.
TICK_THREADS = ("inventory-tick", "inventory-event", "monitor")


def _time_to_health(berth):
    begun = time.monotonic()
    berth.launch()
    return berth.wait_healthy(every=0.002) - begun


def startup(options):
    """From exec to healthy, on a fresh state and on one that is there."""
    engine = {"kind": "fake", "instances": 100}
    fresh, again = [], []
    for _ in range(options.pairs):
        berth = Berth(options.berth, engine, threads=0)
        try:
            fresh.append(_time_to_health(berth))
            berth.stop()
            again.append(_time_to_health(berth))
        finally:
            berth.__exit__()
    rows = []
    for name, times in (("first start", fresh), ("start again", again)):
        middle = statistics.median(times)
        rows.append(Row("startup", f"exec to healthy, {name}, median of {len(times)}",
                        f"{middle * 1000:.0f} ms ({min(times) * 1000:.0f}–{max(times) * 1000:.0f})", "< 1000 ms",
                        middle < 1, {"seconds": times}))
    return rows


def idle(options):
    """Memory and processor time while nobody asks anything."""
    with Berth(options.berth, {"kind": "fake", "instances": 10}, threads=0) as berth:
        time.sleep(3)  # the last of its start
        before = machine.cpu_seconds_by_thread(berth.pid)
        begun = time.monotonic()
        time.sleep(options.idle_seconds)
        wall = time.monotonic() - begun
        after = machine.cpu_seconds_by_thread(berth.pid)
        memory, peak = machine.memory_mib(berth.pid), machine.memory_mib(berth.pid, "VmHWM")
    used = {name: after[name] - before.get(name, 0) for name in after}
    tick = sum(seconds for name, seconds in used.items() if name in TICK_THREADS)
    rest = sum(used.values()) - tick
    share = 100 * rest / wall
    by_thread = {name: seconds for name, seconds in sorted(used.items(), key=lambda item: -item[1])}
    return [
        Row("idle", "memory (peak, of the login)", f"{memory:.1f} MiB ({peak:.0f})", "< 40 MiB", memory < 40),
        Row("idle", f"processor beside the tick, {wall:.0f} s", f"{share:.3f} % of a core", "< 0.5 %", share < 0.5,
            {"seconds_by_thread": by_thread}),
        Row("idle", "the tick itself", f"{100 * tick / wall:.3f} % of a core"),
    ]


def _children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build(options):
    """A clean release build, without a compiler cache. Only when it is named."""
    folder = tempfile.mkdtemp(prefix="berth-build-")
    environment = {**os.environ, "CCACHE_DISABLE": "1"}
    try:
        used = _children_seconds()
        begun = time.monotonic()
        subprocess.run(["cmake", "--preset", "release", "-B", folder], cwd=machine.REPOSITORY, check=True,
                       env=environment, stdout=subprocess.DEVNULL)
        subprocess.run(["ninja", "-C", folder, f"-j{options.jobs}"], check=True, env=environment,
                       stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - begun
        used = _children_seconds() - used
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Row("build", f"clean release build, {options.jobs} jobs", f"{seconds:.0f} s", "< 600 s", seconds < 600),
        Row("build", "processor time of it", f"{used:.0f} s"),
    ]
