"""The list of container-rental, and containers made at once beside `docker run`."""

import contextlib
import json
import statistics
import subprocess
import threading
import time

from harness import load, machine
from harness.berth import Berth
from harness.dockers import Dockers
from harness.report import Row

PREFIX = "/container-rental"


def _add_server(berth, name, url):
    answer = berth.call("POST", PREFIX + "/api/servers", {"name": name, "url": url})
    if answer.status != 200:
        raise RuntimeError(f"server {name}: {answer.status} {answer.body!r}")


def _wait_for(berth, count, seconds=60):
    """Until the list has so many containers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = len(json.loads(berth.call("GET", PREFIX + "/api/containers").body)["containers"])
        if found == count:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{found} containers, not {count}")


def containers1000(options):
    """GET /api/containers and its details, 1,000 containers in memory: latency under load."""
    rows = []
    with Berth(options.berth, {"kind": "fake", "instances": 0}, core=machine.server_core()) as berth:
        _add_server(berth, "fake-1", "fake://500")
        _add_server(berth, "fake-2", "fake://500")
        # The same names on both servers: the second ones carry their server's name.
        _wait_for(berth, 1000)
        headers = {"Authorization": "Bearer " + berth.token}
        for what, target in (("list", "/api/containers"), ("page of 50 with details",
                                                          "/api/containers?detail=true&limit=50")):
            runs = []
            for _ in range(options.pairs):
                outcome = load.with_cost(berth.pid, lambda t=target: load.wrk(
                    berth.base + PREFIX + t, max(12, options.seconds), 16, headers, core=machine.load_core()))
                if outcome["errors"]:
                    raise RuntimeError(f"{outcome['errors']} failed requests")
                runs.append(outcome)
            worst = [run["latency_ms"]["99"] for run in runs]
            p99 = statistics.median(worst)
            rows += [
                Row("containers1000", f"{what}, per second",
                    f"{statistics.median(run['rate'] for run in runs):,.0f}", details={"runs": runs}),
                Row("containers1000", f"{what}, p99 of {len(runs)} runs, 16 connections",
                    f"{p99:.2f} ms ({min(worst):.2f}–{max(worst):.2f})", "< 10 ms", p99 < 10),
            ]
    return rows


def _all_at_once(count, make):
    """Seconds from the first to the last of so many."""
    failures = []

    def run(number):
        try:
            make(number)
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.monotonic() - begun


def creates50(options):
    """50 containers made and started at once through Berth, beside 50 `docker run -d` at once on the same engine."""
    count = 50
    ours, theirs = [], []
    with contextlib.ExitStack() as stack:
        dockers = stack.enter_context(Dockers(1))
        berth = stack.enter_context(Berth(options.berth, {"kind": "fake", "instances": 0}, threads=0))
        _add_server(berth, "docker-1", dockers.url(1))

        def through_berth(turn):
            def make(number):
                body = {"container_name": f"b{turn}-{number}", "image": dockers.image, "networks": ["none"]}
                answer = berth.call("POST", PREFIX + "/api/containers", body)
                if answer.status != 200:
                    raise RuntimeError(f"{answer.status} {answer.body!r}")
            return _all_at_once(count, make)

        def through_docker(turn):
            def make(number):
                subprocess.run(["docker", "-H", dockers.url(1), "run", "-d", "--network", "none", "--name",
                                f"d{turn}-{number}", dockers.image], check=True, capture_output=True)
            return _all_at_once(count, make)

        for turn in range(options.pairs):
            order = (through_berth, through_docker) if turn % 2 == 0 else (through_docker, through_berth)
            for way in order:
                (ours if way is through_berth else theirs).append(way(turn))
                dockers.remove_all(1)
            _wait_for_none(berth)
    ratios = [one / other for one, other in zip(ours, theirs)]
    ratio = statistics.median(ratios)
    return [
        Row("creates50", "through Berth", f"{statistics.median(ours):.1f} s", details={"ours": ours}),
        Row("creates50", "docker run -d", f"{statistics.median(theirs):.1f} s", details={"theirs": theirs}),
        Row("creates50", f"wall time to docker run, median of {len(ratios)} pairs",
            f"{ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f})", "≤ 1.3", ratio <= 1.3),
    ]


def _wait_for_none(berth, seconds=30):
    """What was removed behind Berth's back leaves its books too."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        names = [one["container_name"] for one in
                 json.loads(berth.call("GET", PREFIX + "/api/containers").body)["containers"]]
        if not names:
            return
        for name in names:
            berth.call("DELETE", f"{PREFIX}/api/containers/{name}?force=true")
    raise RuntimeError("containers are left")
