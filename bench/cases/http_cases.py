"""Requests per second beside nginx, and pages of a long list."""

import contextlib
import json
import re
import statistics

from harness import load, machine
from harness.berth import Berth
from harness.nginx import Nginx
from harness.report import Row


def _fields(head):
    """The names of an answer's header fields."""
    return [line.split(b":", 1)[0].decode() for line in head.split(b"\r\n")[1:] if line]


def _padding(ours, theirs):
    """One header line for nginx that makes its head as long as ours, if that is possible."""
    missing = len(ours) - len(theirs) - len("X-Pad: \r\n")
    return f'add_header X-Pad "{"x" * missing}";' if missing > 0 else ""


def _compare(case, target_ratio, options, berth, target, headers, make_nginx, variants):
    """Tries nginx's variants briefly, then measures the best one alternately with Berth."""
    core = machine.load_core()

    def run(port, path, fields, seconds):
        return load.wrk(f"http://127.0.0.1:{port}{path}", seconds, options.connections, fields, core=core)

    def ours(seconds=options.seconds):
        return run(berth.port, target, headers, seconds)

    ours(1)  # warm
    # By cost, in turns: a second or two of rate says little on a machine that others use too.
    costs = {}
    with contextlib.ExitStack() as stack:
        servers = [(stack.enter_context(make_nginx(**variant)), variant) for variant in variants]
        for _ in range(3):
            for nginx, _ in servers:
                outcome = load.with_cost(nginx.process.pid, lambda n=nginx: run(n.port, target, {}, 1))
                costs.setdefault(nginx.variant, []).append(outcome["cost_us"])
        tried = {name: statistics.median(found) for name, found in costs.items()}
        name, best = min(((nginx.variant, variant) for nginx, variant in servers), key=lambda entry: tried[entry[0]])
    with make_nginx(**best) as nginx:
        our_head, our_body = load.raw_answer(berth.port, target, headers)
        their_head, their_body = load.raw_answer(nginx.port, target, {})
        if our_body != their_body:
            raise RuntimeError("the bodies differ")
        run(nginx.port, target, {}, 1)
        pairs = load.alternate(
            lambda: load.with_cost(berth.pid, ours),
            lambda: load.with_cost(nginx.process.pid, lambda: run(nginx.port, target, {}, options.seconds)),
            options.pairs)
    details = {
        **pairs, "nginx": name, "nginx_cost_us": tried,
        "answer_bytes": {"berth": len(our_head) + len(our_body), "nginx": len(their_head) + len(their_body)},
        "head_fields": {"berth": len(_fields(our_head)), "nginx": len(_fields(their_head))},
        "connections": options.connections, "seconds": options.seconds,
    }
    ratio = pairs["ratio_median"]
    return [
        Row(case, "berth", f"{pairs['ours_median']:,.0f} requests/s"),
        Row(case, f"nginx ({name})", f"{pairs['theirs_median']:,.0f} requests/s"),
        Row(case, f"berth/nginx, median of {options.pairs} pairs",
            f"{ratio:.2f} ({pairs['ratio_min']:.2f}–{pairs['ratio_max']:.2f})", f"≥ {target_ratio}",
            ratio >= target_ratio, details),
        Row(case, "the same by processor time for each request",
            f"{pairs['cost_ratio_median']:.2f} ({pairs['cost_ratio_min']:.2f}–{pairs['cost_ratio_max']:.2f}), "
            f"{pairs['ours_cost_us']:.1f} and {pairs['theirs_cost_us']:.1f} µs"),
    ]


def list100(options):
    """GET /api/instances with a token, 100 instances, beside nginx and the same bytes in a file."""
    core = machine.server_core()
    with Berth(options.berth, {"kind": "fake", "instances": 100}, core=core) as berth:
        headers = {"Authorization": "Bearer " + berth.token}
        head, body = load.raw_answer(berth.port, "/api/instances", headers)
        if len(json.loads(body)) != 100:
            raise RuntimeError("not 100 instances")
        with Nginx({"api/instances": body}, core=core) as plain:
            padding = _padding(head, load.raw_answer(plain.port, "/api/instances", {})[0])

        def make(**variant):
            return Nginx({"api/instances": body}, locations=padding, core=core, **variant)

        variants = [{"sendfile": sendfile, "cache": cache} for sendfile in (True, False) for cache in (True, False)]
        return _compare("list100", 0.9, options, berth, "/api/instances", headers, make, variants)


def health(options):
    """GET /api/health beside nginx's `return 200` with the same body and as many header fields."""
    core = machine.server_core()
    with Berth(options.berth, {"kind": "fake", "instances": 100}, core=core) as berth:
        head, body = load.raw_answer(berth.port, "/api/health", {})

        def location(extra):
            text = body.decode().replace("'", "\\'")
            return f"location = /api/health {{ default_type application/json; {extra} return 200 '{text}'; }}"

        with Nginx(locations=location(""), core=core) as plain:
            their_head = load.raw_answer(plain.port, "/api/health", {})[0]
        missing = len(_fields(head)) - len(_fields(their_head))
        # As many fields as Berth sends, and together as long.
        room = len(head) - len(their_head) - sum(len(f"X-Pad-{i}: \r\n") for i in range(max(missing, 0)))
        each = [max(room, missing) // missing] * missing if missing > 0 else []
        if each:
            each[-1] += max(0, room - sum(each))
        extra = " ".join(f'add_header X-Pad-{i} "{"x" * size}";' for i, size in enumerate(each))
        return _compare("health", 0.8, options, berth, "/api/health", {},
                        lambda **variant: Nginx(locations=location(extra), core=core, **variant), [{}])


PAGE_SCRIPT = """
-- Another page with every request.
local offset = 0
request = function()
  offset = (offset + 50) % {instances}
  return wrk.format("GET", "/api/instances?limit=50&offset=" .. offset)
end
"""


def _change_costs(berth, instances, rounds=15):
    """Seconds of the first whole list behind a change of one instance, and of the next one."""
    first, next_one = [], []
    for number in range(rounds):
        name = f"inst-{1 + number * (instances // rounds):05}"
        changed = berth.call("PATCH", f"/api/instances/{name}", {"description": f"changed {number}"})
        if changed.status != 200:
            raise RuntimeError(f"change of {name}: {changed.status} {changed.body!r}")
        first.append(berth.call("GET", "/api/instances?limit=1").seconds)
        next_one.append(berth.call("GET", "/api/instances?limit=1").seconds)
    return statistics.median(first), statistics.median(next_one)


def page10k(options):
    """Pages of 10,000 instances: latency under load, memory, the cost of one change."""
    instances = 10_000
    with Berth(options.berth, {"kind": "fake", "instances": instances}, core=machine.server_core()) as berth:
        script = berth.folder / "page.lua"
        script.write_text(PAGE_SCRIPT.format(instances=instances), encoding="utf-8")
        headers = {"Authorization": "Bearer " + berth.token}
        total = berth.call("GET", "/api/instances?limit=1").getheader("X-Total-Count")
        if total != str(instances):
            raise RuntimeError(f"{total} instances")
        berth.call("GET", "/api/instances")  # the whole list once, so that its memory counts
        runs, idle = [], []
        for _ in range(options.pairs):
            # At least two ticks of five seconds fall into each run.
            outcome = load.with_cost(berth.pid, lambda: load.wrk(
                berth.base + "/", max(12, options.seconds), options.connections, headers, script,
                machine.load_core()))
            if outcome["errors"]:
                raise RuntimeError(f"{outcome['errors']} failed requests")
            runs.append(outcome)
            # What the machine itself adds: the cheapest answer there is, at the rate of one connection.
            idle.append(load.wrk(berth.base + "/api/health", 2, 1, core=machine.load_core()))
        first, next_one = _change_costs(berth, instances)
        peak, now = machine.memory_mib(berth.pid, "VmHWM"), machine.memory_mib(berth.pid)
        worst = [run["latency_ms"]["99"] for run in runs]
        half = [run["latency_ms"]["50"] for run in runs]
        p99 = statistics.median(worst)
        encoded = {name: value for name, value in berth.metrics().items() if re.search("fragment|encoded", name)}
    return [
        Row("page10k", "pages/s", f"{statistics.median(run['rate'] for run in runs):,.0f}", details={"runs": runs}),
        Row("page10k", "processor time for each page",
            f"{statistics.median(run['cost_us'] for run in runs):.1f} µs"),
        Row("page10k", "p50", f"{statistics.median(half):.2f} ms"),
        Row("page10k", "for comparison: p99 of /api/health, one connection",
            f"{statistics.median(run['latency_ms']['99'] for run in idle):.2f} ms", details={"runs": idle}),
        Row("page10k", f"p99, median of {len(runs)} runs", f"{p99:.2f} ms ({min(worst):.2f}–{max(worst):.2f})",
            "< 5 ms", p99 < 5),
        Row("page10k", "memory, peak (now)", f"{peak:.0f} MiB ({now:.0f})", "< 200 MiB", peak < 200),
        Row("page10k", "one change: first list behind it (next)",
            f"{first * 1000:.2f} ms ({next_one * 1000:.2f})", details={"metrics": encoded}),
    ]
