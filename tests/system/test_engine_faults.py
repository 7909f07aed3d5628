"""LXD stopped, hung, restarted, absent: reads go on, changes fail clearly and in time, and all heals."""

import concurrent.futures
import os
import signal
import statistics
import time

import pytest

from waiting import wait_until

UNAVAILABLE = {"detail": "LXD服务不可用"}


def known(admin, container):
    wait_until(lambda: admin.status_of(container) == "Running", 5, "the container is known")


def disconnected(daemon):
    wait_until(lambda: daemon.health()["lxd_connected"] is False, 10, "the daemon notices")


def connected(daemon, seconds=10):
    wait_until(lambda: daemon.health()["lxd_connected"], seconds, "the daemon is connected again")


@pytest.fixture
def stopped_lxd(lxd, daemon, container):
    """LXD ends while the daemon knows a container; it runs again behind the test."""
    admin = daemon.caller()
    known(admin, container)
    lxd.stop()
    disconnected(daemon)
    yield admin
    if lxd.process is None:
        lxd.start()


@pytest.fixture
def hung_lxd(lxd, daemon, container):
    admin = daemon.caller()
    known(admin, container)
    lxd.hang()
    yield admin
    lxd.resume()


def test_reads_go_on_with_their_age_while_lxd_is_stopped(stopped_lxd, daemon, container):
    for path in ("/api/instances", f"/api/instances/{container}", f"/api/instances/{container}/resources"):
        answer = stopped_lxd.get(path)
        assert answer.status_code == 200
        assert int(answer.headers["X-Inventory-Age"]) >= 0
    first = int(stopped_lxd.get("/api/instances").headers["X-Inventory-Age"])
    wait_until(lambda: int(stopped_lxd.get("/api/instances").headers["X-Inventory-Age"]) > first, 5, "the age grows")
    assert daemon.health() == {"status": "healthy", "lxd_connected": False}


def test_answers_carry_no_age_while_lxd_is_there(daemon, container):
    admin = daemon.caller()
    known(admin, container)
    assert "X-Inventory-Age" not in admin.get("/api/instances").headers


def test_changes_are_503_at_once_while_lxd_is_stopped(stopped_lxd, container):
    changes = [("POST", f"/api/instances/{container}/stop", None), ("POST", f"/api/instances/{container}/restart", None),
               ("DELETE", f"/api/instances/{container}?force=true", None),
               ("PATCH", f"/api/instances/{container}", {"description": "x"}),
               ("POST", "/api/instances", {"name": "never", "image": "busybox"}),
               ("GET", "/api/images", None),
               ("POST", f"/api/instances/{container}/exec", {"command": ["true"]})]
    for method, path, body in changes:
        begun = time.monotonic()
        answer = stopped_lxd.request(method, path, json=body)
        assert (answer.status_code, answer.json()) == (503, UNAVAILABLE), path
        assert time.monotonic() - begun < 3


def test_the_monitor_goes_on_while_lxd_is_stopped(stopped_lxd, container):
    with stopped_lxd.web_socket("/ws/monitor") as monitor:
        assert container in [one["name"] for one in monitor.receive_json()["data"]["instances"]]


def test_all_heals_when_lxd_is_there_again(stopped_lxd, lxd, daemon, container):
    lxd.start()
    connected(daemon)
    wait_until(lambda: "X-Inventory-Age" not in stopped_lxd.get("/api/instances").headers, 5, "reads are fresh")
    assert stopped_lxd.post(f"/api/instances/{container}/stop?force=true").status_code == 200
    assert lxd.status(container) == "Stopped"


def test_what_changed_while_lxd_was_away_is_seen_when_it_is_back(stopped_lxd, lxd, daemon, container, new_name):
    name = new_name()
    lxd.start()
    lxd.create(name)
    lxd.lxc("stop", "--force", container)
    connected(daemon)
    wait_until(lambda: stopped_lxd.status_of(name) == "Stopped", 5, "the new one is seen")
    wait_until(lambda: stopped_lxd.status_of(container) == "Stopped", 5, "the stop is seen")
    lxd.lxc("delete", name)


def test_events_come_again_after_a_restart_of_lxd(lxd, daemon, container):
    admin = daemon.caller()
    known(admin, container)
    for _ in range(3):
        lxd.restart()
    connected(daemon)
    with admin.web_socket("/ws/monitor") as monitor:
        monitor.receive()
        lxd.lxc("stop", "--force", container)
        monitor.wait_for(lambda m: {i["name"]: i["status"] for i in m["data"]["instances"]}[container] == "Stopped", 3)


def test_absent_at_the_start_is_503_and_heals_by_itself(make_daemon, lxd, real_engine):
    lxd.stop()
    try:
        daemon = make_daemon(real_engine).start(connected=False)
        admin = daemon.caller()
        assert daemon.health() == {"status": "healthy", "lxd_connected": False}
        for method, path in (("GET", "/api/instances"), ("GET", "/api/instances/test1"),
                             ("POST", "/api/instances/test1/start"), ("DELETE", "/api/instances/test1")):
            answer = admin.request(method, path)
            assert (answer.status_code, answer.json()) == (503, UNAVAILABLE)
        assert admin.get("/api/host/info").status_code == 200
    finally:
        lxd.start()
    connected(daemon)
    assert admin.get("/api/instances").status_code == 200


def test_a_socket_that_is_nowhere_is_503_too(make_daemon):
    daemon = make_daemon({"socket": "/nonexistent/unix.socket"}).start(connected=False)
    answer = daemon.caller().get("/api/instances")
    assert (answer.status_code, answer.json()) == (503, UNAVAILABLE)


def test_while_lxd_hangs_nothing_else_slows_down(hung_lxd, lxd, daemon, container):
    callers = [daemon.caller() for _ in range(12)]
    with concurrent.futures.ThreadPoolExecutor(len(callers)) as pool:
        # Changes pile up on the hung engine meanwhile.
        changes = [pool.submit(caller.post, f"/api/instances/{container}/{word}", timeout=120)
                   for caller, word in zip(callers, ["stop", "start", "restart"] * 4)]
        times = {"/api/health": [], "/api/instances": [], f"/api/instances/{container}": [], "/auth/me": []}
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for path, samples in times.items():
                begun = time.monotonic()
                assert hung_lxd.get(path).status_code == 200
                samples.append(time.monotonic() - begun)
        lxd.resume()
        statuses = {change.result().status_code for change in changes}
    for path, samples in times.items():
        assert statistics.quantiles(samples, n=100)[98] < 0.25, (path, max(samples))
    assert statuses <= {200, 409, 503, 504}


def test_a_hung_lxd_is_noticed_and_said(hung_lxd, daemon):
    disconnected(daemon)
    assert "X-Inventory-Age" in hung_lxd.get("/api/instances").headers


def test_changes_are_503_in_time_once_the_hang_is_noticed(hung_lxd, daemon, container):
    disconnected(daemon)
    for method, path in (("POST", f"/api/instances/{container}/stop"), ("DELETE", f"/api/instances/{container}"),
                         ("POST", f"/api/instances/{container}/snapshots")):
        begun = time.monotonic()
        answer = hung_lxd.request(method, path, json={"name": "s"} if path.endswith("snapshots") else None)
        assert (answer.status_code, answer.json()) == (503, UNAVAILABLE)
        assert time.monotonic() - begun < 5


def test_a_change_that_the_hang_catches_ends_at_its_deadline(hung_lxd, container):
    begun = time.monotonic()
    answer = hung_lxd.patch(f"/api/instances/{container}", {"description": "caught"})
    assert answer.status_code in (503, 504)
    assert list(answer.json()) == ["detail"]
    assert time.monotonic() - begun < 25
    assert hung_lxd.operations(f"&resource={container}&state=running") == []


def test_a_change_that_the_hang_catches_goes_on_behind_it(hung_lxd, lxd, container):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        change = pool.submit(hung_lxd.post, f"/api/instances/{container}/stop?force=true")
        wait_until(lambda: hung_lxd.operations("&state=running"), 5, "the operation has begun")
        lxd.resume()
        answer = change.result(30)
    assert answer.status_code == 200, answer.text
    assert lxd.status(container) == "Stopped"


def test_all_heals_behind_a_hang(hung_lxd, lxd, daemon, container):
    disconnected(daemon)
    lxd.resume()
    connected(daemon)
    assert hung_lxd.post(f"/api/instances/{container}/stop?force=true").status_code == 200
    with hung_lxd.web_socket("/ws/monitor") as monitor:
        monitor.receive()
        lxd.lxc("start", container)
        monitor.wait_for(lambda m: {i["name"]: i["status"] for i in m["data"]["instances"]}[container] == "Running", 3)


def test_the_daemon_ends_in_time_while_lxd_hangs(hung_lxd, daemon, container):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        change = pool.submit(_outcome, hung_lxd, container)
        wait_until(lambda: hung_lxd.operations("&state=running"), 5, "the operation has begun")
        begun = time.monotonic()
        daemon.stop(25)
        assert time.monotonic() - begun < 20
        change.result(30)


def _outcome(caller, container):
    """Of a stop whose answer may not come any more."""
    try:
        return caller.post(f"/api/instances/{container}/stop").status_code
    except OSError:
        return None


def test_one_hung_instance_does_not_hold_up_the_list(daemon, lxd, container, new_name):
    admin, other = daemon.caller(), new_name()
    known(admin, container)
    monitor_process = lxd.monitor_process(container)
    os.kill(monitor_process, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        lxd.create(other)
        wait_until(lambda: admin.status_of(other) == "Stopped", 8, "another one's news are shown")
        assert time.monotonic() - begun < 10
        assert container in admin.names()
        assert daemon.health()["lxd_connected"] is True
        assert admin.post(f"/api/instances/{other}/start").status_code == 200
        assert admin.status_of(other) == "Running"
    finally:
        os.kill(monitor_process, signal.SIGCONT)
    wait_until(lambda: admin.status_of(container) == "Running", 10, "the hung one is itself again")
    lxd.lxc("delete", "--force", other)
