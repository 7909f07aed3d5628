"""Slow readers and many clients."""

import json
import time

import pytest

from waiting import wait_until
from web_socket import Refused


@pytest.fixture
def large(make_daemon):
    """A daemon whose monitor messages are large, about 500 KB: 2,000 instances."""
    return make_daemon({"kind": "fake", "instances": 2000, "tick": "500ms"}).start()


def times_of(message):
    return json.loads(message)["timestamp"]


def test_two_hundred_clients_all_get_a_change(fake_daemon):
    admin = fake_daemon.caller()
    monitors = [admin.web_socket("/ws/monitor") for _ in range(200)]
    for monitor in monitors:
        monitor.receive()
    admin.post("/api/instances/inst-00001/stop?force=true")
    begun = time.monotonic()
    for monitor in monitors:
        monitor.wait_for(lambda m: m["data"]["instances"][0]["status"] == "Stopped", 5)
    assert time.monotonic() - begun < 4
    for monitor in monitors:
        monitor.close()


def test_beyond_the_limit_of_one_caller_a_client_is_429(fake_daemon):
    admin = fake_daemon.caller()
    monitors = [admin.web_socket("/ws/monitor") for _ in range(256)]
    with pytest.raises(Refused) as refused:
        admin.web_socket("/ws/monitor")
    assert refused.value.status == 429
    fake_daemon.person("viewer").web_socket("/ws/monitor").close()  # others are not held up
    monitors.pop().close()

    def opens_again():
        try:
            admin.web_socket("/ws/monitor").close()
        except Refused:
            return False
        return True

    wait_until(opens_again, 5, "the place is free again")
    for monitor in monitors:
        monitor.close()


def test_a_slow_reader_costs_no_growing_memory_and_holds_up_nobody(large):
    admin = large.caller()
    slow = [admin.web_socket("/ws/monitor", reading=False) for _ in range(10)]
    quick = admin.web_socket("/ws/monitor")
    quick.receive()
    before = None
    for change in range(24):
        word = "stop?force=true" if change % 2 == 0 else "start"
        status = "Stopped" if change % 2 == 0 else "Running"
        admin.post(f"/api/instances/inst-00001/{word}")
        begun = time.monotonic()
        quick.wait_for(lambda m, wanted=status: m["data"]["instances"][0]["status"] == wanted, 5)
        assert time.monotonic() - begun < 2
        if change == 7:
            before = large.resident_bytes()
    # 16 further messages of about 1 MB to 10 clients would be 160 MB if they were queued.
    assert large.resident_bytes() - before < 60 << 20
    quick.close()
    for socket in slow:
        socket.close()


def test_a_daemon_that_ends_says_goodbye(fake_daemon):
    monitor = fake_daemon.caller().web_socket("/ws/monitor")
    monitor.receive()
    fake_daemon.stop()
    assert monitor.wait_closed() == 1001


def test_clients_that_come_and_go_leave_nothing(fake_daemon):
    admin = fake_daemon.caller()

    def round_of_clients():
        monitors = [admin.web_socket("/ws/monitor") for _ in range(50)]
        for monitor in monitors:
            monitor.receive()
            monitor.close()

    round_of_clients()
    round_of_clients()
    before = fake_daemon.resident_bytes()
    for _ in range(6):
        round_of_clients()
    assert fake_daemon.resident_bytes() - before < 20 << 20
    text = admin.get("/metrics").text
    gauges = [line for line in text.splitlines() if "websocket" in line and not line.startswith("#")]
    assert gauges, "no metric counts the WebSocket clients"
