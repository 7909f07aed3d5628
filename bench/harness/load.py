"""wrk, and pairs of measurements that alternate, so that a noisy machine troubles both sides alike."""

import re
import socket
import statistics
import subprocess

from harness import machine

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


def raw_answer(port, target, headers):
    """The bytes of one answer, head and body, as they come over the wire."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        head, body = received.split(b"\r\n\r\n", 1)
        length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
        while len(body) < length:
            body += connection.recv(65536)
    return head + b"\r\n\r\n", body


def wrk(url, seconds, connections, headers=None, script=None, core=None):
    """One run; requests per second, latencies in milliseconds, and how many answers were errors."""
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--latency"]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    if script:
        command += ["--script", str(script)]
    command.append(url)
    if core is not None:
        command = machine.pinned(core, command)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
    text = done.stdout
    rate = float(re.search(r"Requests/sec: *([\d.]+)", text).group(1))
    latency = {name: float(value) * UNITS[unit]
               for name, value, unit in re.findall(r"^ +(\d+)% +([\d.]+)(us|ms|s|m)$", text, re.MULTILINE)}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = (int(bad.group(1)) if bad else 0) + (sum(map(int, sockets.groups())) if sockets else 0)
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    return {"rate": rate, "latency_ms": latency, "errors": errors, "requests": requests}


def with_cost(pid, measure):
    """Adds to a measurement what it cost the server, in microseconds of processor time for each request."""
    before = machine.cpu_seconds(pid)
    outcome = measure()
    outcome["cost_us"] = 1e6 * (machine.cpu_seconds(pid) - before) / outcome["requests"]
    return outcome


def alternate(ours, theirs, pairs):
    """Measures A B A B …; the pairs' ratios of rates and of costs, and the medians of each side."""
    a, b = [], []
    for number in range(pairs):
        # Who goes first changes, so that neither always follows the other.
        order = [(ours, a), (theirs, b)]
        for measure, into in order if number % 2 == 0 else reversed(order):
            outcome = measure()
            if outcome["errors"]:
                raise RuntimeError(f"{outcome['errors']} failed requests")
            into.append(outcome)
    ratios = [x["rate"] / y["rate"] for x, y in zip(a, b)]
    costs = [y["cost_us"] / x["cost_us"] for x, y in zip(a, b)]
    return {
        "ours": a, "theirs": b, "ratios": ratios, "cost_ratios": costs,
        "ours_median": statistics.median(x["rate"] for x in a),
        "theirs_median": statistics.median(y["rate"] for y in b),
        "ours_cost_us": statistics.median(x["cost_us"] for x in a),
        "theirs_cost_us": statistics.median(y["cost_us"] for y in b),
        "ratio_median": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
        "cost_ratio_median": statistics.median(costs), "cost_ratio_min": min(costs), "cost_ratio_max": max(costs),
    }
