"""The list of container-rental, and containers made at once beside `docker run`."""

import contextlib
import json
import statistics
import subprocess
import tempfile
import threading
import time

from harness import load, machine
from harness.berth import Berth
from harness.dockers import Agent, Dockers
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


def containers200(options):
    """200 real containers over two Dockers: the list under load, and how fresh the use of all of them is."""
    count = 100
    with contextlib.ExitStack() as stack:
        dockers = stack.enter_context(Dockers(2))
        berth = stack.enter_context(Berth(options.berth, {"kind": "fake", "instances": 0}, threads=1))
        for number in (1, 2):
            _add_server(berth, f"docker-{number}", dockers.url(number))

        def make(number):
            body = {"container_name": f"c{number}", "image": dockers.image, "networks": ["none"],
                    "server": f"docker-{1 + number % 2}"}
            answer = berth.call("POST", PREFIX + "/api/containers", body)
            if answer.status != 200:
                raise RuntimeError(f"{answer.status} {answer.body!r}")

        with _Ages(berth) as making:
            for begin in range(0, 2 * count, 50):
                _all_at_once(50, lambda number, begin=begin: make(begin + number))
            _wait_for_reads(berth, 2)
        alone = _upkeep(berth, dockers, options.idle_seconds)
        headers = {"Authorization": "Bearer " + berth.token}
        before = _full_reads(berth)
        runs, ages = [], []
        for _ in range(options.pairs):
            with _Ages(berth) as watched:
                runs.append(load.wrk(berth.base + PREFIX + "/api/containers", max(12, options.seconds), 16, headers))
            ages += watched.ages
        after = _full_reads(berth)
        reads = {engine: [new - old for old, new in zip(before[engine], after[engine])] for engine in after}
        per_read = [seconds / number for number, seconds in reads.values()]
        theirs = {"docker ps": [], "docker stats --no-stream": []}
        for _ in range(options.pairs):
            for what, words in (("docker ps", ["ps", "-a"]), ("docker stats --no-stream", ["stats", "--no-stream"])):
                begun = time.monotonic()
                subprocess.run(["docker", "-H", dockers.url(1), *words], check=True, capture_output=True)
                theirs[what].append(time.monotonic() - begun)
    p99 = [run["latency_ms"]["99"] for run in runs]
    listed, measured = (statistics.median(theirs[what]) for what in theirs)
    return [
        Row("containers200", f"list, p99 of {len(runs)} runs, 16 connections",
            f"{statistics.median(p99):.2f} ms ({min(p99):.2f}–{max(p99):.2f})", "< 10 ms", statistics.median(p99) < 10,
            details={"runs": runs, "ages": ages, "docker": theirs, "reads": reads}),
        Row("containers200", "list beside `docker ps -a` of half as many", f"{listed * 1000:.0f} ms"),
        Row("containers200", "oldest figure of any container, under load and without",
            f"{max(ages):.2f} s, {max(alone['ages']):.2f} s", "< 5 s", max(ages + alone["ages"]) < 5),
        Row("containers200", "the same while they are made, 50 at once", f"{max(making.ages):.2f} s",
            details={"ages": making.ages}),
        Row("containers200", "one read of 100 containers with their use, to `docker stats --no-stream`",
            f"{max(per_read):.2f} s, {measured:.2f} s: {max(per_read) / measured:.2f}"),
        Row("containers200", "without load: a read of each server every; of a core, Berth and the engines",
            f"{alone['every']:.1f} s; {alone['berth']:.1f} %, {alone['engines']:.1f} %", details=alone),
    ]


def _upkeep(berth, dockers, seconds):
    """What keeping the figures costs while nobody asks for them, in percent of a core."""
    def used():
        return {"berth": machine.cpu_seconds(berth.pid), "engines": dockers.cpu_seconds()}

    begun, before, reads = time.monotonic(), used(), _full_reads(berth)
    with _Ages(berth) as watched:
        time.sleep(seconds)
    wall, after, reads_after = time.monotonic() - begun, used(), _full_reads(berth)
    every = max(wall / (reads_after[engine][0] - count) for engine, (count, _) in reads.items())
    return {"ages": watched.ages, "every": every, **{who: 100 * (after[who] - before[who]) / wall for who in after}}


class _Ages:
    """The age of the older server's figures, looked at all the time: since the read began that brought them."""

    def __init__(self, berth):
        self.berth = berth
        self.ages = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self.ended.wait(0.1):
            self.ages.append(max(_metric(self.berth, "berth_inventory_age_seconds").values()))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def _metric(berth, name, also=""):
    """Of the two servers, by engine."""
    text = berth.call("GET", "/metrics").body
    text = text.decode() if isinstance(text, bytes) else text
    found = {}
    for line in text.splitlines():
        if line.startswith(name + "{") and also in line and 'engine="server-' in line:
            labels, value = line.rsplit(" ", 1)
            found[labels.split('engine="')[1].split('"')[0]] = float(value)
    return found


def _full_reads(berth):
    """How many full reads there were, and their seconds, by engine."""
    counts = _metric(berth, "berth_inventory_read_seconds_count", 'read="full"')
    sums = _metric(berth, "berth_inventory_read_seconds_sum", 'read="full"')
    return {engine: (counts[engine], sums[engine]) for engine in counts}


def _wait_for_reads(berth, number, seconds=60):
    """Until each server was read so many times more."""
    before = _full_reads(berth)
    end = time.monotonic() + seconds
    while any(count < before[engine][0] + number for engine, (count, _) in _full_reads(berth).items()):
        if time.monotonic() > end:
            raise RuntimeError("the servers are not read")
        time.sleep(0.1)


def failover(options):
    """A server with an agent dies; until its containers run on another one. Everything at its defaults."""
    count, seconds = 10, []
    with contextlib.ExitStack() as stack:
        dockers = stack.enter_context(Dockers(2))
        berth = stack.enter_context(Berth(options.berth, {"kind": "fake", "instances": 0}, threads=0))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        agents = {}
        for number in (1, 2):
            _add_server(berth, f"docker-{number}", dockers.url(number))
            issued = json.loads(berth.call("POST", f"{PREFIX}/api/servers/{number}/agent").body)
            agents[number] = Agent(options.berth, f"docker-{number}", issued["token"], berth.base, dockers, number,
                                   folder)
            stack.callback(agents[number].kill)
            agents[number].start()
        for turn in range(options.pairs):
            _wait_for_agents(berth)
            names = [f"f{turn}-{number}" for number in range(count)]
            for name in names:
                body = {"container_name": name, "image": dockers.image, "networks": ["none"], "server": "docker-1"}
                berth.call("POST", PREFIX + "/api/containers", body)
            begun = time.monotonic()
            agents[1].kill()
            dockers.kill(1)
            dockers.end_containers(1)
            while any(dockers.containers(2).get(name) != "running" for name in names):
                if time.monotonic() > begun + 120:
                    raise RuntimeError("no failover")
                time.sleep(0.02)
            seconds.append(time.monotonic() - begun)
            agents[1].start()
            dockers.start(1)
            for name in names:
                berth.call("DELETE", f"{PREFIX}/api/containers/{name}?force=true")
    worst = max(seconds)
    return [Row("failover", f"from a server's death until its {count} containers run elsewhere, worst of {len(seconds)}",
                f"{worst:.1f} s (median {statistics.median(seconds):.1f})", "< 15 s", worst < 15,
                details={"seconds": seconds})]


def _wait_for_agents(berth, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        servers = json.loads(berth.call("GET", PREFIX + "/api/servers").body)["servers"]
        if all(one["agent"]["bond"] == "timed" and one["status"] == "healthy" for one in servers):
            return
        time.sleep(0.1)
    raise RuntimeError(f"no agents: {servers}")


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
