"""Two real Dockers as servers: what happens outside of the daemon, engines that die, the daemon killed in the middle."""

import random
import secrets
import subprocess
import threading
import time

import pytest
import requests

from berth_daemon import BerthDaemon, Caller, binary, fake_engine
from docker_servers import IMAGE, DockerServers
from waiting import wait_until
from web_socket import Terminal

PREFIX = "/container-rental"
SETTINGS = {"containers": {"tick": "1s"}, "identity": {"anonymous": "loopback"}}


@pytest.fixture(scope="module")
def dockers():
    with DockerServers(2) as servers:
        yield servers


@pytest.fixture(scope="module")
def daemon(dockers):
    with BerthDaemon(fake_engine(0), SETTINGS) as running:
        running.start()
        for number in (1, 2):
            answer = caller_of(running).post("/api/servers",
                                             {"name": f"docker-{number}", "url": dockers.url(number)})
            assert answer.status_code == 200, answer.text
        yield running


def caller_of(daemon):
    return Caller(daemon.base + PREFIX)


@pytest.fixture
def caller(daemon):
    return caller_of(daemon)


def new_name(prefix="c"):
    return f"{prefix}-{secrets.token_hex(4)}"


def create(caller, name, server=None, **fields):
    body = {"container_name": name, "image": IMAGE, "networks": ["none"], **fields}
    if server is not None:
        body["server"] = f"docker-{server}"
    answer = caller.post("/api/containers", body)
    assert answer.status_code == 200, answer.text
    return answer.json()["container_id"]


def states(caller):
    return {one["container_name"]: one["status"] for one in caller.get("/api/containers").json()["containers"]}


def listed(caller, number):
    servers = {one["name"]: one for one in caller.get("/api/servers").json()["servers"]}
    return servers[f"docker-{number}"]


def health(caller, number):
    return listed(caller, number)["status"]


def fenced(caller, number):
    shown = listed(caller, number)
    assert caller.get(f"/api/servers/{shown['server_id']}").json()["fenced"] == shown["fenced"]
    return shown["fenced"]


def test_a_container_that_is_stopped_outside_shows_by_itself(caller, dockers):
    name = new_name()
    create(caller, name, server=1)
    dockers.api(1, f"/containers/{name}/kill", "POST")
    wait_until(lambda: states(caller)[name] == "stopped", 3, "the list shows it")
    dockers.api(1, f"/containers/{name}/start", "POST")
    wait_until(lambda: states(caller)[name] == "running", 3, "the list shows it")


def test_a_container_that_is_renamed_outside_keeps_its_number(caller, dockers):
    name, renamed = new_name(), new_name("renamed")
    number = create(caller, name, server=1)
    dockers.api(1, f"/containers/{name}/rename?name={renamed}", "POST")
    wait_until(lambda: renamed in states(caller), 5, lambda: f"it is followed: {states(caller)}")
    wait_until(lambda: name not in states(caller), 5, lambda: f"the old name is gone: {states(caller)}")
    assert caller.get(f"/api/containers/{renamed}").json()["container_id"] == number


def test_a_container_that_is_removed_outside_is_an_error_and_can_be_deleted(caller, dockers):
    name = new_name()
    create(caller, name, server=1)
    dockers.api(1, f"/containers/{name}?force=true", "DELETE")
    wait_until(lambda: states(caller)[name] == "error", 10, lambda: f"it shows: {states(caller)}")
    assert caller.delete(f"/api/containers/{name}").status_code == 200
    assert name not in states(caller)


def test_a_rename_makes_no_second_container(caller):
    """The engine tells of the new name while the change is still under way."""
    name = new_name()
    create(caller, name, server=2)
    for _ in range(10):
        renamed = new_name("n")
        answer = caller.request("PUT", f"/api/containers/{name}", json={"container_name": renamed})
        assert answer.status_code == 200, answer.text
        name = renamed
    time.sleep(2.5)  # two ticks, in which an adoption would happen
    assert [one for one in states(caller) if "@" in one] == []


def test_a_killed_engine_hurts_nobody_else_and_its_containers_run_on(caller, dockers):
    first, second = new_name("one"), new_name("two")
    create(caller, first, server=1)
    create(caller, second, server=2)
    dockers.kill(1)
    try:
        wait_until(lambda: health(caller, 1) == "unreachable", 30, lambda: f"it is noticed: {health(caller, 1)}")
        begun = time.monotonic()
        answer = caller.post(f"/api/containers/{first}/stop")
        assert answer.status_code == 503, answer.text
        assert time.monotonic() - begun < 5
        assert caller.post(f"/api/containers/{second}/restart?force=true").status_code == 200
        # Nothing that runs on is forgotten, and nothing is moved without a fence.
        detail = caller.get(f"/api/containers/{first}").json()
        assert (detail["reachable"], detail["server"]) == (False, "docker-1")
    finally:
        dockers.start(1)
    wait_until(lambda: health(caller, 1) == "healthy", 30, lambda: f"it heals: {health(caller, 1)}")
    wait_until(lambda: caller.get(f"/api/containers/{first}").json()["reachable"], 10, "it is reachable again")
    assert caller.post(f"/api/containers/{first}/stop?force=true").status_code == 200


def test_fifty_containers_made_at_once_all_come_up(caller, dockers):
    names = [new_name("p") for _ in range(50)]
    failures = []

    def make(name):
        answer = caller_of_thread(caller).post(
            "/api/containers", {"container_name": name, "image": IMAGE, "networks": ["none"]})
        if answer.status_code != 200:
            failures.append(answer.text)

    threads = [threading.Thread(target=make, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    shown = states(caller)
    assert [shown[name] for name in names] == ["running"] * 50
    counts = [len([name for name in dockers.containers(number) if name in set(names)]) for number in (1, 2)]
    assert sum(counts) == 50
    assert min(counts) >= 15, f"they are spread over both servers: {counts}"
    for name in names:
        assert caller.delete(f"/api/containers/{name}?force=true").status_code == 200


def caller_of_thread(caller):
    return Caller(caller.base)


def test_two_callers_want_one_name(caller):
    name = new_name()
    answers = []

    def make(server):
        answers.append(caller_of_thread(caller).post("/api/containers", {
            "container_name": name, "image": IMAGE, "networks": ["none"], "server": f"docker-{server}"}).status_code)

    threads = [threading.Thread(target=make, args=(1 + number % 2,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [200] + [409] * 7
    assert caller.delete(f"/api/containers/{name}?force=true").status_code == 200


def test_killed_in_the_middle_nothing_acknowledged_is_missing(daemon, dockers):
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}")
    for _ in range(8):
        made, changed, removed = new_name("m"), new_name("ch"), new_name("r")
        caller = caller_of(daemon)
        create(caller, changed, command=["/bin/sleep", "1000"])
        create(caller, removed)
        acknowledged = {}

        def send(key, method, path, body):
            try:
                answer = Caller(daemon.base + PREFIX).request(method, path, json=body)
            except requests.exceptions.RequestException:
                return
            acknowledged[key] = answer.status_code == 200

        jobs = [("create", "POST", "/api/containers", {"container_name": made, "image": IMAGE, "networks": ["none"]}),
                ("change", "PUT", f"/api/containers/{changed}", {"environment": {"A": "b"}}),
                ("remove", "DELETE", f"/api/containers/{removed}?force=true", None)]
        chance.shuffle(jobs)
        threads = [threading.Thread(target=send, args=job) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0, 1.5))  # the random point is the test's subject
        daemon.kill()
        for thread in threads:
            thread.join(60)
        daemon.start()
        caller = caller_of(daemon)
        wait_until(lambda: caller.get("/operations?state=running").json()["operations"] == [], 60,
                   lambda: f"operations are settled: {caller.get('/operations?state=running').text}")
        there = {**dockers.containers(1), **dockers.containers(2)}
        if acknowledged.get("create"):
            assert there.get(made) == "running", "an acknowledged create is missing"
        if acknowledged.get("remove"):
            assert removed not in there, "an acknowledged delete is undone"
        # Changed or as it was, but once, running, and under its own name.
        wait_until(lambda: states(caller).get(changed) == "running", 60, lambda: f"it runs: {states(caller)}")
        there = {**dockers.containers(1), **dockers.containers(2)}
        assert there.get(changed) == "running"
        wait_until(lambda: not [name for number in (1, 2) for name in dockers.containers(number) if "berth" in name],
                   60, "no helper of a change is left")
        for name in (made, changed, removed):
            caller.delete(f"/api/containers/{name}?force=true")


def test_cpu_percent_is_a_share_of_the_servers_cores(caller):
    name = new_name("busy")
    create(caller, name, server=1, command=["sh", "-c", "while :; do :; done"])
    percents = []

    def measured():
        percents.append(caller.get(f"/api/containers/{name}").json()["cpu_percent"])
        return percents[-1] > 0

    wait_until(measured, 30, "it is measured")
    assert caller.delete(f"/api/containers/{name}?force=true").status_code == 200
    # One loop takes one core at most; a little more for the engine's own reckoning of time.
    assert percents[-1] <= 115 / listed(caller, 1)["cpus"], percents


def test_a_container_moves_to_another_server_and_runs_once(caller, dockers):
    name = new_name("mv")
    create(caller, name, server=1)
    answer = caller.post("/api/ha/replace_container", {"container_name": name, "server": "docker-2"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == "Docker container replaced successfully"
    assert name not in dockers.containers(1)
    assert dockers.containers(2)[name] == "running"
    assert caller.get(f"/api/containers/{name}").json()["server"] == "docker-2"


def test_a_server_is_drained_and_emptied(daemon, caller, dockers):
    name = new_name("dr")
    create(caller, name, server=1)
    try:
        done = subprocess.run([binary(), "servers", "drain", "docker-1", "--move", "--server", daemon.base],
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert "Server is draining" in done.stdout
        assert name in done.stdout
        assert dockers.containers(2)[name] == "running"
        assert name not in dockers.containers(1)
        assert listed(caller, 1)["placement"] == "draining"
    finally:
        assert caller.post(f"/api/servers/{listed(caller, 1)['server_id']}/open").status_code == 200


def test_failover_wants_a_fence_or_a_persons_word_and_never_runs_anything_twice(caller, dockers):
    name = new_name("fo")
    create(caller, name, server=1, command=["sh", "-c", "echo it runs; exec /sbin/idle"])
    assert caller.post("/api/ha/failover", {"server": "docker-1"}).status_code == 409, "it answers"
    log = Terminal(caller.web_socket(f"/ws/containers/{name}/logs"))
    log.expect("it runs\n")
    dockers.kill(1)
    try:
        assert log.expect_end(30) == {"type": "end", "reason": "server_gone"}
        assert log.socket.wait_closed() == 1013
        assert fenced(caller, 1) is None
        wait_until(lambda: health(caller, 1) == "unreachable", 30, "it is noticed")
        refused = caller.post("/api/ha/failover", {"server": "docker-1"})
        assert refused.status_code == 409, refused.text
        # The engine is dead, its containers are not: a person ends the machine, and says so.
        dockers.end_containers(1)
        answer = caller.post("/api/ha/failover", {"server": "docker-1", "confirmed": True})
        assert answer.status_code == 200, answer.text
        assert answer.json()["message"] == "Failover operation successful"
        assert dockers.containers(2)[name] == "running"
        assert fenced(caller, 1)["how"] == "person"
    finally:
        dockers.start(1)
    wait_until(lambda: health(caller, 1) == "healthy", 30, "it is back")
    wait_until(lambda: fenced(caller, 1) is None, 20, "it is trusted again")
    wait_until(lambda: dockers.containers(1).get(name) != "running", 10, "what lives elsewhere does not run here")
    assert dockers.containers(2)[name] == "running"
    assert [one for one in states(caller) if one.startswith(name)] == [name]
