"""Many callers at once, on a real LXD."""

import concurrent.futures

import pytest

from waiting import wait_until


@pytest.fixture(scope="module")
def admin(steady):
    return steady.caller()


def at_once(steady, count, work):
    """Runs `work(caller, number)` for each of so many callers at once; yields the answers."""
    callers = [steady.caller() for _ in range(count)]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [future.result(120) for future in [pool.submit(work, c, n) for n, c in enumerate(callers)]]


def test_ten_are_created_at_once(steady, admin, lxd, new_name):
    names = [new_name("many") for _ in range(10)]
    answers = at_once(steady, 10, lambda caller, n: caller.post("/api/instances", {"name": names[n], "image": "busybox"}))
    assert [answer.status_code for answer in answers] == [201] * 10
    assert {lxd.status(name) for name in names} == {"Running"}
    answer = admin.post("/api/instances/actions", {"action": "stop", "instances": names, "force": True})
    assert answer.json()["message"] == "10 个成功，0 个失败"
    answers = at_once(steady, 10, lambda caller, n: caller.delete(f"/api/instances/{names[n]}"))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert not lxd.names() & set(names)


def test_of_several_who_create_one_name_one_succeeds(steady, lxd, new_name):
    name = new_name()
    answers = at_once(steady, 4, lambda caller, n: caller.post(
        "/api/instances", {"name": name, "image": "busybox", "description": f"by {n}", "start": False}))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201, 409, 409, 409]
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 201)
    assert lxd.query(f"/1.0/instances/{name}")["description"] == f"by {winner}"
    lxd.lxc("delete", name)


@pytest.mark.parametrize("word,end", [("start", "Running"), ("stop?force=true", "Stopped")])
def test_two_who_want_the_same_both_succeed(steady, admin, lxd, container, word, end):
    if word == "start":
        lxd.lxc("stop", "--force", container)
    wait_until(lambda: container in admin.names(), 5, "the container is known")
    answers = at_once(steady, 2, lambda caller, _: caller.post(f"/api/instances/{container}/{word}"))
    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    assert lxd.status(container) == end


def test_two_who_delete_the_same_get_success_or_404(steady, admin, lxd, container):
    wait_until(lambda: container in admin.names(), 5, "the container is known")
    answers = at_once(steady, 2, lambda caller, _: caller.delete(f"/api/instances/{container}?force=true"))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([200, 200], [200, 404])
    assert lxd.status(container) is None


def test_a_start_and_a_stop_at_once_leave_a_state_that_is_told_truly(steady, admin, lxd, container):
    wait_until(lambda: container in admin.names(), 5, "the container is known")
    for _ in range(3):
        answers = at_once(steady, 4, lambda caller, n: caller.post(
            f"/api/instances/{container}/{'start' if n % 2 else 'stop?force=true'}"))
        assert {answer.status_code for answer in answers} <= {200, 409}
        wait_until(lambda: admin.status_of(container) == lxd.status(container), 5, "the panel tells LXD's state")
    assert admin.operations(f"&resource={container}&state=running") == []


def test_several_at_once_start_and_stop_through_one_request(admin, lxd, new_name):
    names = [new_name("bulk") for _ in range(6)]
    for name in names:
        lxd.create(name)
    wait_until(lambda: set(names) <= set(admin.names()), 5, "the containers are known")
    for action, status in (("start", "Running"), ("restart", "Running"), ("stop", "Stopped")):
        answer = admin.post("/api/instances/actions", {"action": action, "instances": names, "force": True})
        assert answer.json()["success"] is True, answer.text
        assert [line["name"] for line in answer.json()["data"]] == names
        assert {lxd.status(name) for name in names} == {status}
    for name in names:
        lxd.lxc("delete", name)


def test_the_audit_log_is_whole_behind_many_writers(steady, admin, new_name):
    names = [new_name("audit") for _ in range(8)]
    at_once(steady, 8, lambda caller, n: caller.create(names[n], start=False))
    at_once(steady, 8, lambda caller, n: caller.delete(f"/api/instances/{names[n]}"))
    assert '"intact":true' in steady.cli("audit", "verify", "-o", "json").stdout.replace(" ", "")
    for name in names:
        kinds = [one["kind"] for one in admin.operations(f"&resource={name}")]
        assert kinds == ["instance.delete", "instance.create"]
