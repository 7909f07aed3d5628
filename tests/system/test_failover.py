"""Failover by itself: two real Dockers with agents, engines and whole servers that die, networks that are cut.

What counts are processes: a witness looks at them all the time, and sees none of a container on two servers.
"""

import secrets
import tempfile
import threading
import time

import pytest
import requests

from berth_daemon import BerthDaemon, Caller, binary, fake_engine
from docker_servers import IMAGE, DockerServers
from server_agents import Agent, Relay, Witness
from waiting import holds_for, wait_until

PREFIX = "/container-rental"
SETTINGS = {"containers": {"tick": "1s", "lease": "3s"}, "identity": {"anonymous": "loopback"}}
CONTAINERS = 6
# A lease of 3 s, 2 s to stop, half a second of doubt, and as long again as anything could take to act on it.
LEASE_AND_MORE = 8


class Fleet:
    """Two servers with their agents, and the daemon above them."""

    def __init__(self, dockers, folder):
        self.dockers = dockers
        self.daemon = BerthDaemon(fake_engine(0), SETTINGS)
        self.caller = Caller(self.daemon.base + PREFIX)
        self.to_berth = {n: Relay(self.daemon.port) for n in (1, 2)}
        self.to_engine = {n: Relay(dockers.socket(n)) for n in (1, 2)}
        self.agents = {}
        try:
            self.begin(folder)
        except BaseException:
            self.end()
            raise

    def begin(self, folder):
        self.daemon.start()
        for number in (1, 2):
            answer = self.caller.post("/api/servers", {"name": f"docker-{number}",
                                                       "url": f"tcp://127.0.0.1:{self.to_engine[number].port}"})
            assert answer.status_code == 200, answer.text
            issued = self.caller.post(f"/api/servers/{answer.json()['server_id']}/agent")
            assert issued.status_code == 200, issued.text
            self.agents[number] = Agent(binary(), f"docker-{number}", issued.json()["token"],
                                        f"http://127.0.0.1:{self.to_berth[number].port}", self.dockers, number,
                                        folder)
            self.agents[number].start()
        for number in (1, 2):
            wait_until(lambda n=number: self.bond(n) == "timed", 20, lambda n=number: self.agents[n].log())

    def server(self, number):
        return next(one for one in self.caller.get("/api/servers").json()["servers"]
                    if one["name"] == f"docker-{number}")

    def bond(self, number):
        return self.server(number)["agent"]["bond"]

    def put(self, count, number, prefix="c", **fields):
        names = []
        for _ in range(count):
            name = f"{prefix}-{secrets.token_hex(4)}"
            answer = self.caller.post("/api/containers", {"container_name": name, "image": IMAGE,
                                                          "networks": ["none"], "server": f"docker-{number}",
                                                          **fields})
            assert answer.status_code == 200, answer.text
            names.append(name)
        return names

    def cut(self, number):
        self.to_berth[number].cut()
        self.to_engine[number].cut()

    def heal(self, number):
        self.to_berth[number].heal()
        self.to_engine[number].heal()

    def die(self, number):
        """As when the machine loses its power."""
        self.agents[number].kill()
        self.dockers.kill(number)
        self.dockers.end_containers(number)

    def boot(self, number):
        """The agent first, as the units have it: it is bound, so it lets the engine bring nothing back."""
        self.agents[number].start()
        self.dockers.start(number)

    def wait_back(self, number):
        wait_until(lambda: self.server(number)["status"] == "healthy", 40, lambda: self.server(number))
        wait_until(lambda: self.bond(number) == "timed", 40, lambda: f"{self.server(number)} "
                   f"{self.agents[number].log()} {self.daemon.log()}")

    def end(self):
        for agent in self.agents.values():
            agent.kill()
        for relay in [*self.to_berth.values(), *self.to_engine.values()]:
            relay.end()
        self.daemon.end()


@pytest.fixture(scope="module")
def dockers():
    with DockerServers(2) as servers:
        yield servers


@pytest.fixture(scope="module")
def fleet(dockers):
    with tempfile.TemporaryDirectory() as folder:
        made = Fleet(dockers, folder)
        yield made
        made.end()


@pytest.fixture
def witness(dockers):
    with Witness(dockers) as watching:
        yield watching
    assert watching.looks > 10
    assert not watching.twice, f"ran on two servers at once: {watching.twice}"


@pytest.fixture(autouse=True)
def tidy(fleet):
    """Each test begins and ends with both servers whole and empty."""
    yield
    for one in fleet.caller.get("/api/containers").json()["containers"]:
        name = one["container_name"]
        wait_until(lambda n=name: fleet.caller.delete(f"/api/containers/{n}?force=true").status_code in (200, 404), 40,
                   f"{name} is removed")


class Load:
    """Callers that list, look and restart all the time."""

    def __init__(self, fleet, name):
        self.ended = threading.Event()
        self.base = fleet.caller.base
        self.name = name
        self.answers = 0
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(4)]

    def _run(self):
        caller = Caller(self.base)
        while not self.ended.is_set():
            try:
                assert caller.get("/api/containers?detail=true").status_code == 200
                assert caller.get(f"/api/containers/{self.name}/status").status_code == 200
                caller.post(f"/api/containers/{self.name}/restart?force=true", timeout=100)
                self.answers += 1
            except requests.exceptions.RequestException:
                pass

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(100)


def all_run_on(witness, names, number):
    running = witness.running()
    return all(running.get(name) == {number} for name in names)


def none_runs_on(witness, names, number):
    running = witness.running()
    return all(number not in running.get(name, set()) for name in names)


def test_a_whole_server_that_dies_comes_back_elsewhere_by_itself(fleet, witness):
    names = fleet.put(CONTAINERS, 1, restart_policy="always")
    other = fleet.put(1, 2)[0]
    with Load(fleet, other) as load:
        begun = time.monotonic()
        fleet.die(1)
        wait_until(lambda: all_run_on(witness, names, 2), 60,
                   lambda: f"{witness.running()} {fleet.daemon.log()}")
        print(f"running elsewhere after {time.monotonic() - begun:.1f} s")
        fleet.boot(1)
        fleet.wait_back(1)
    assert load.answers > 0
    assert holds_for(lambda: all_run_on(witness, names, 2), 2)
    homes = {one["container_name"]: one["server"] for one in
             fleet.caller.get("/api/containers?detail=true").json()["containers"]}
    assert {homes[name] for name in names} == {"docker-2"}
    assert len(homes) == CONTAINERS + 1, "the old copies are nobody's containers"


def test_a_server_that_is_cut_off_stops_its_containers_itself(fleet, witness):
    names = fleet.put(CONTAINERS, 1)
    fleet.cut(1)
    try:
        wait_until(lambda: none_runs_on(witness, names, 1), 30, "its agent stops everything")
        wait_until(lambda: all_run_on(witness, names, 2), 60,
                   lambda: f"{witness.running()} {fleet.daemon.log()}")
    finally:
        fleet.heal(1)
    fleet.wait_back(1)
    assert holds_for(lambda: all_run_on(witness, names, 2), 2)


def test_without_the_engine_the_agent_stops_everything_too(fleet, witness):
    names = fleet.put(CONTAINERS, 1, restart_policy="always")
    paused = names[0]
    assert fleet.caller.post(f"/api/containers/{paused}/pause").status_code == 200
    fleet.dockers.kill(1)
    fleet.cut(1)
    try:
        wait_until(lambda: all_run_on(witness, names, 2), 60,
                   lambda: f"{witness.running()} {fleet.agents[1].log()}")
    finally:
        fleet.heal(1)
        fleet.dockers.start(1)
    fleet.wait_back(1)
    assert holds_for(lambda: all_run_on(witness, names, 2), 2)


def test_an_engine_that_dies_alone_leaves_its_containers_running_where_they_are(fleet, witness):
    names = fleet.put(CONTAINERS, 1)
    fleet.dockers.kill(1)
    try:
        wait_until(lambda: fleet.server(1)["status"] == "unreachable", 30, "it is noticed")
        assert holds_for(lambda: all_run_on(witness, names, 1), LEASE_AND_MORE)
        # A person wants them elsewhere all the same: the agent is told to stop them first.
        answer = fleet.caller.post("/api/ha/failover", {"server": "docker-1"})
        assert answer.status_code == 200, answer.text
        assert all_run_on(witness, names, 2)
    finally:
        fleet.dockers.start(1)
    fleet.wait_back(1)
    assert holds_for(lambda: all_run_on(witness, names, 2), 2)


def test_what_an_agent_stopped_for_nothing_it_starts_again(fleet, witness):
    """Berth dies without a word, and is back before anybody could have failed over."""
    names = fleet.put(CONTAINERS, 1)
    fleet.daemon.kill()
    wait_until(lambda: none_runs_on(witness, names, 1), 30, "the lease ends")
    fleet.daemon.start()
    wait_until(lambda: all_run_on(witness, names, 1), 40, lambda: f"{witness.running()} {fleet.agents[1].log()}")
    fleet.wait_back(1)


def test_while_an_agent_lets_nothing_run_nothing_is_changed_there(fleet, witness):
    """Its engine answers, but it does not reach Berth: what was changed now could run again in a moment."""
    names = fleet.put(2, 1)
    fleet.to_berth[1].cut()
    try:
        wait_until(lambda: none_runs_on(witness, names, 1), 30, "the lease ends")
        for call in ("stop", "restart", "archive"):
            refused = fleet.caller.post(f"/api/containers/{names[0]}/{call}")
            assert refused.status_code == 503 and "berth agent" in refused.text, f"{call}: {refused.text}"
        there = fleet.caller.post("/api/containers", {"container_name": "late", "image": IMAGE, "networks": ["none"],
                                                      "server": "docker-1"})
        assert there.status_code == 503, there.text
        elsewhere = fleet.put(1, 2)
    finally:
        fleet.to_berth[1].heal()
    wait_until(lambda: all_run_on(witness, names, 1), 40, lambda: f"{witness.running()} {fleet.agents[1].log()}")
    fleet.wait_back(1)
    wait_until(lambda: fleet.caller.post(f"/api/containers/{names[0]}/stop").status_code == 200, 20, "it may be stopped")
    assert all_run_on(witness, elsewhere, 2)
    # A lease that is lost again does not bring back what somebody has stopped.
    fleet.daemon.kill()
    wait_until(lambda: none_runs_on(witness, names, 1), 30, "the lease ends")
    fleet.daemon.start()
    wait_until(lambda: all_run_on(witness, names[1:], 1), 40, lambda: fleet.agents[1].log())
    assert holds_for(lambda: none_runs_on(witness, names[:1], 1), 3)


def test_an_orderly_end_of_berth_stops_nothing(fleet, witness):
    names = fleet.put(CONTAINERS, 1)
    fleet.daemon.stop()
    assert holds_for(lambda: all_run_on(witness, names, 1), LEASE_AND_MORE)
    fleet.daemon.start()
    fleet.wait_back(1)
    assert holds_for(lambda: all_run_on(witness, names, 1), LEASE_AND_MORE)


def test_an_agent_that_ends_in_order_leaves_everything_running_and_is_not_counted_on(fleet, witness):
    names = fleet.put(CONTAINERS, 1)
    fleet.agents[1].stop()
    assert fleet.bond(1) == "none"
    fleet.cut(1)
    try:
        wait_until(lambda: fleet.server(1)["status"] == "unreachable", 30, "it is noticed")
        assert holds_for(lambda: all_run_on(witness, names, 1), LEASE_AND_MORE)
        refused = fleet.caller.post("/api/ha/failover", {"server": "docker-1"})
        assert refused.status_code == 409, refused.text
    finally:
        fleet.heal(1)
        fleet.agents[1].start()
    fleet.wait_back(1)


def test_an_agent_that_is_killed_and_started_again_stops_nothing(fleet, witness):
    names = fleet.put(CONTAINERS, 1)
    for _ in range(3):
        fleet.agents[1].kill()
        fleet.agents[1].start()
        assert holds_for(lambda: all_run_on(witness, names, 1), 2)
    fleet.wait_back(1)


def test_an_agent_that_dies_alone_is_not_counted_on_any_more(fleet, witness):
    """Its containers ran past the end of their lease, so a later silence would prove nothing."""
    names = fleet.put(1, 1)
    fleet.agents[1].kill()
    wait_until(lambda: fleet.bond(1) == "none", 60, lambda: fleet.server(1))
    fleet.dockers.kill(1)
    try:
        wait_until(lambda: fleet.server(1)["status"] == "unreachable", 30, "it is noticed")
        assert fleet.caller.post("/api/ha/failover", {"server": "docker-1"}).status_code == 409
        assert holds_for(lambda: all_run_on(witness, names, 1), 3)
    finally:
        fleet.boot(1)
    fleet.wait_back(1)
