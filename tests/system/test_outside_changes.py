"""What somebody does with `lxc` shows up by itself."""

import time

import pytest

from waiting import wait_until

SOON = 2.0  # seconds; the daemon's full read comes every second, its events sooner


@pytest.fixture
def admin(steady):
    return steady.caller()


def shown(message, name):
    return next((one for one in message["data"]["instances"] if one["name"] == name), None)


def test_a_stop_outside_reaches_the_monitor_within_a_second(admin, lxd, container):
    wait_until(lambda: admin.status_of(container) == "Running", 5, "the container is known")
    with admin.web_socket("/ws/monitor") as monitor:
        monitor.receive()
        lxd.lxc("stop", "--force", container)
        begun = time.monotonic()
        monitor.wait_for(lambda m: shown(m, container)["status"] == "Stopped", SOON)
        assert time.monotonic() - begun < 1


def test_a_launch_outside_shows_up(admin, lxd, new_name):
    name = new_name()
    with admin.web_socket("/ws/monitor") as monitor:
        monitor.receive()
        lxd.launch(name)
        monitor.wait_for(lambda m: (shown(m, name) or {}).get("status") == "Running", SOON)
    assert admin.status_of(name) == "Running"
    lxd.lxc("delete", "--force", name)


def test_a_rename_outside_shows_up(admin, lxd, new_name):
    old, new = new_name(), new_name()
    lxd.create(old)
    wait_until(lambda: old in admin.names(), SOON, "the container is known")
    lxd.lxc("rename", old, new)
    wait_until(lambda: new in admin.names() and old not in admin.names(), SOON, "the new name is shown")
    assert admin.get(f"/api/instances/{old}").status_code == 404
    lxd.lxc("delete", "--force", new)


def test_a_delete_outside_shows_up(admin, lxd, container):
    wait_until(lambda: container in admin.names(), SOON, "the container is known")
    lxd.lxc("delete", "--force", container)
    wait_until(lambda: container not in admin.names(), SOON, "the container is gone")


def test_a_description_changed_outside_shows_up(admin, lxd, container):
    wait_until(lambda: container in admin.names(), SOON, "the container is known")
    lxd.lxc("query", "-X", "PATCH", "-d", '{"description": "changed outside"}', f"/1.0/instances/{container}")

    def told():
        return admin.get(f"/api/instances/{container}").json()["info"]["description"] == "changed outside"

    wait_until(told, SOON, "the new description is shown")


def test_limits_changed_outside_show_up(admin, lxd, container):
    wait_until(lambda: container in admin.names(), SOON, "the container is known")
    lxd.lxc("config", "set", container, "limits.memory=96MiB")

    def told():
        return admin.get(f"/api/instances/{container}/resources").json()["memory_total"] == 96

    wait_until(told, SOON, "the new limit is shown")


def test_a_freeze_outside_shows_lxds_own_word(admin, lxd, container):
    lxd.lxc("pause", container)
    wait_until(lambda: admin.status_of(container) == "Frozen", SOON, "the container is shown frozen")
    lxd.lxc("start", container)
    wait_until(lambda: admin.status_of(container) == "Running", SOON, "the container is shown running")


def test_a_container_that_ends_by_itself_shows_up(admin, lxd, container):
    wait_until(lambda: admin.status_of(container) == "Running", SOON, "the container is known")
    lxd.lxc("exec", container, "--", "kill", "-TERM", "1", check=False)
    wait_until(lambda: admin.status_of(container) == "Stopped", 5, "the container is shown stopped")


def test_a_change_of_what_was_deleted_outside_a_moment_ago_is_404(admin, lxd, container):
    wait_until(lambda: container in admin.names(), SOON, "the container is known")
    lxd.lxc("delete", "--force", container)
    answer = admin.post(f"/api/instances/{container}/start")
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"实例 {container} 不存在"}


def test_a_start_of_what_was_stopped_outside_a_moment_ago_starts_it(admin, lxd, container):
    wait_until(lambda: admin.status_of(container) == "Running", SOON, "the container is known")
    lxd.lxc("stop", "--force", container)
    assert admin.post(f"/api/instances/{container}/start").status_code == 200
    assert lxd.status(container) == "Running"


def test_a_name_made_outside_a_moment_ago_cannot_be_made_again(admin, lxd, new_name):
    name = new_name()
    lxd.create(name)
    answer = admin.post("/api/instances", {"name": name, "image": "busybox"})
    assert answer.status_code == 409
    lxd.lxc("delete", "--force", name)
