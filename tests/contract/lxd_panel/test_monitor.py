"""/ws/monitor: the document's messages, at once, every five seconds, and sooner when something changes."""

import time

import websockets

from shapes import MONITOR_MESSAGE, assert_shape


def shown(message, name):
    return next((one for one in message["data"]["instances"] if one["name"] == name), None)


def test_the_first_message_comes_at_once_in_the_documents_form(either_admin, either_instance):
    begun = time.monotonic()
    with either_admin.web_socket("/ws/monitor") as monitor:
        message = monitor.receive_json()
        assert time.monotonic() - begun < 2
    assert_shape(message, MONITOR_MESSAGE)
    mine = shown(message, either_instance)
    assert (mine["status"], mine["ssh_port"], mine["nat_ports"]) == ("Running", 20001, "30000-30025")


def test_a_message_comes_every_five_seconds_without_any_change(open_panel):
    with open_panel.anonymous().web_socket("/ws/monitor") as monitor:
        monitor.receive()
        monitor.receive()  # to the tick of the daemon, which is not the client's
        begun = time.monotonic()
        monitor.receive()
        assert 4 < time.monotonic() - begun < 6.5


def test_a_change_of_state_is_told_at_once(either_admin, either_instance):
    with either_admin.web_socket("/ws/monitor") as monitor:
        monitor.receive()
        either_admin.post(f"/api/instances/{either_instance}/stop?force=true")
        begun = time.monotonic()
        monitor.wait_for(lambda m: shown(m, either_instance)["status"] == "Stopped", 3)
        assert time.monotonic() - begun < 2


def test_a_new_and_a_deleted_instance_come_and_go(either_admin, new_name):
    name = new_name()
    with either_admin.web_socket("/ws/monitor") as monitor:
        either_admin.create(name, start=False)
        monitor.wait_for(lambda m: shown(m, name), 4)
        either_admin.delete(f"/api/instances/{name}")
        monitor.wait_for(lambda m: not shown(m, name), 4)


def test_what_a_client_sends_is_passed_over(admin):
    with admin.web_socket("/ws/monitor") as monitor:
        monitor.receive()
        monitor.send("{not json")
        monitor.send(b"\x00\xff")
        assert monitor.receive_json(8)["type"] == "update"


def test_a_message_beyond_the_limit_ends_the_connection_and_nothing_else(admin):
    with admin.web_socket("/ws/monitor") as monitor, admin.web_socket("/ws/monitor") as other:
        monitor.receive()
        try:
            monitor.send("x" * (4 << 20))
        except websockets.ConnectionClosed:
            pass  # refused before all of it was sent
        assert monitor.wait_closed() == 1009
        assert other.receive_json()["type"] == "update"


def test_many_monitors_of_one_caller_get_the_same_message(admin):
    monitors = [admin.web_socket("/ws/monitor") for _ in range(10)]
    names = {tuple(one["name"] for one in monitor.receive_json()["data"]["instances"]) for monitor in monitors}
    for monitor in monitors:
        monitor.close()
    assert len(names) == 1
