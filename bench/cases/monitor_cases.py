"""A thousand monitors, and how soon an outside change reaches one."""

import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

from harness import machine
from harness.berth import Berth
from harness.report import Row

CLIENTS = 1000
INSTANCES = 1000
# The daemon limits the monitors of one caller to 256.
CLIENTS_PER_KEY = 250


def ws1000(options):
    """1,000 WebSocket clients on 1,000 instances: from tick to the last client, and memory over time."""
    ticks = options.ticks
    with Berth(options.berth, {"kind": "fake", "instances": INSTANCES}, threads=0) as berth:
        keys = berth.folder / "keys.txt"
        keys.write_text("\n".join(berth.make_keys(CLIENTS // CLIENTS_PER_KEY)) + "\n", encoding="utf-8")
        keys.chmod(0o600)
        load = subprocess.Popen(
            [str(options.monitor_clients), "--port", str(berth.port), "--clients", str(CLIENTS), "--ticks", str(ticks),
             "--limit", str(ticks * 5 + 90), "--credentials", str(keys)], stdout=subprocess.PIPE, text=True)
        watch = machine.MemoryWatch(berth.pid)
        # The connections' own beginning is no part of "flat over time".
        time.sleep(min(20, ticks * 5 / 3))
        settled = len(watch.samples)
        before = sum(machine.cpu_seconds_by_thread(berth.pid).values())
        begun = time.monotonic()
        text, _ = load.communicate()
        wall = time.monotonic() - begun
        used = sum(machine.cpu_seconds_by_thread(berth.pid).values()) - before
        samples = watch.end()
        if load.returncode != 0:
            raise RuntimeError(f"the clients ended with {load.returncode}: {berth.output()}")
        outcome = json.loads(text)
        pushes = berth.metrics()
        peak = machine.memory_mib(berth.pid, "VmHWM")
    first, last = machine.MemoryWatch.quarters(samples[settled:])
    count = pushes.get("berth_monitor_push_seconds_count", 0)
    push_ms = 1000 * pushes.get("berth_monitor_push_seconds_sum", 0) / count if count else float("nan")
    p99 = outcome["last_client_ms"]["p99"]
    whole = outcome["closed"] == 0 and outcome["skipped"] == 0
    return [
        Row("ws1000", f"tick to last client, p99 of {outcome['ticks']} ticks",
            f"{p99:.0f} ms (p50 {outcome['last_client_ms']['p50']:.0f})", "< 1000 ms",
            p99 < 1000 and whole and outcome["ticks"] >= ticks, {**outcome, "push_ms_mean": push_ms}),
        Row("ws1000", "putting a tick's message together, mean", f"{push_ms:.2f} ms"),
        Row("ws1000", "message; ticks skipped; connections lost",
            f"{outcome['message_bytes'] / 1024:.0f} KiB; {outcome['skipped']}; {outcome['closed']}",
            "0 skipped, 0 lost", whole),
        Row("ws1000", "memory, first to last quarter (peak)", f"{first:.0f} → {last:.0f} MiB ({peak:.0f})",
            "flat (≤ +5 %)", last <= first * 1.05, {"samples": samples, "settled": settled}),
        Row("ws1000", "processor of the daemon", f"{100 * used / wall:.0f} % of a core"),
    ]


class _Monitor:
    """One WebSocket that listens (RFC 6455), as plainly as possible, so that its own time is small."""

    def __init__(self, berth):
        self.socket = socket.create_connection(("127.0.0.1", berth.port), timeout=30)
        self.socket.sendall((f"GET /ws/monitor HTTP/1.1\r\nHost: 127.0.0.1:{berth.port}\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                             f"Authorization: Bearer {berth.token}\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(head.decode())

    def _more(self):
        part = self.socket.recv(262144)
        if not part:
            raise RuntimeError("the monitor was closed")
        self.buffer += part

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def receive(self):
        while True:
            first, length = struct.unpack("!BB", self._take(2))
            if length == 126:
                length = struct.unpack("!H", self._take(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self._take(8))[0]
            payload = self._take(length)
            if first & 0x0F == 1:
                return json.loads(payload)
            if first & 0x0F == 9:
                self.socket.sendall(bytes([0x8A, 0x80 | length, 0, 0, 0, 0]) + payload)

    def wait_for(self, name, status, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for instance in self.receive()["data"]["instances"]:
                if instance["name"] == name and instance["status"] == status:
                    return time.monotonic()
        raise RuntimeError(f"{name} did not become {status} within {seconds} s")

    def close(self):
        self.socket.close()


def _note_end(process, ended):
    """Notes when a process ended, from a thread of its own."""
    def run():
        process.wait()
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def lxcstop(options):
    """A real LXD: from `lxc stop -f` in a shell to the message at a monitor."""
    if os.geteuid() != 0:
        raise RuntimeError("a real LXD needs root")
    machine.install(["lxd", "lxc"])
    sys.path.insert(0, str(machine.REPOSITORY / "tests" / "support" / "python"))
    from lxd_server import LxdServer  # pylint: disable=import-error,import-outside-toplevel
    rounds = options.rounds
    lxd = LxdServer()
    try:
        for number in range(3):
            lxd.launch(f"bench{number}")
        with Berth(options.berth, {"kind": "lxd", "socket": str(lxd.socket)}, threads=0) as berth:
            monitor = _Monitor(berth)
            try:
                begun_to_message, end_to_message, stops = [], [], []
                for number in range(rounds):
                    name = f"bench{number % 3}"
                    monitor.wait_for(name, "Running")
                    begun = time.monotonic()
                    shell = subprocess.Popen(["lxc", "--force-local", "stop", "-f", name], env=lxd.environment,
                                             stdin=subprocess.DEVNULL)
                    ended = []
                    waiter = _note_end(shell, ended)
                    told = monitor.wait_for(name, "Stopped")
                    waiter.join()
                    stops.append(ended[0] - begun)
                    begun_to_message.append(told - begun)
                    end_to_message.append(told - ended[0])
                    lxd.lxc("start", name)
            finally:
                monitor.close()
    finally:
        lxd.end()
    p95 = machine.percentile(begun_to_message, 0.95)
    return [
        Row("lxcstop", f"begin of `lxc stop -f` to message, p95 of {rounds}",
            f"{p95 * 1000:.0f} ms (p50 {statistics.median(begun_to_message) * 1000:.0f})", "< 1000 ms", p95 < 1,
            {"begin_to_message": begun_to_message, "end_to_message": end_to_message, "lxc_stop": stops}),
        Row("lxcstop", "end of `lxc stop -f` to message, p95",
            f"{machine.percentile(end_to_message, 0.95) * 1000:.0f} ms"),
        Row("lxcstop", "`lxc stop -f` itself, median", f"{statistics.median(stops) * 1000:.0f} ms"),
    ]
