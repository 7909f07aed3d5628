"""An engine that answers garbage, half an answer, or what it should not: clear errors, no crash, healing."""

import time

import pytest

from fake_lxd import API, EMPTY_LIST, GOOD, FakeLxd, http
from waiting import holds_for, wait_until

DEEP = b'{"type":"sync","status_code":200,"metadata":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HALF = http(EMPTY_LIST)

ANSWERS = {
    "nothing": b"",
    "no HTTP": b"\x00\xff\xfe garbage \r\n\r\n" * 10,
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": HALF[:-10],
    "a body that is longer than said": HALF + b"and more",
    "an absurd length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n{}\r\n",
    "no JSON": http(b"<html>not found</html>"),
    "half JSON": http(b'{"type": "sync", "metadata": [{"name": "a", '),
    "JSON of another kind": http([1, 2, 3]),
    "a list of other things": http({**EMPTY_LIST, "metadata": [1, None, "x", {}, []]}),
    "a list that is an object": http({**EMPTY_LIST, "metadata": {"a": 1}}),
    "wrong types everywhere": http({**EMPTY_LIST, "metadata": [
        {"name": 5, "status": [], "config": "x", "state": 7, "created_at": {}, "description": False}]}),
    "text that is not UTF-8": http(b'{"type":"sync","status_code":200,"metadata":[{"name":"\xff\xfe"}]}'),
    "JSON that is nested without end": http(DEEP),
    "an error of its own": http({"type": "error", "error": "boom", "error_code": 500}, "500 Internal Server Error"),
    "a redirection": http(b"", "302 Found", ["Location: http://127.0.0.1:1/"]),
    "a refusal": http({"type": "error", "error": "not authorized", "error_code": 403}, "403 Forbidden"),
}


@pytest.fixture
def garbage():
    server = FakeLxd()
    yield server
    server.end()


@pytest.fixture
def daemon_on(make_daemon, garbage):
    """A daemon that has read the engine once, while it was sane."""
    return make_daemon({"socket": str(garbage.path), "tick": "200ms"}).start()


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_engine_that_begins_to_answer(daemon_on, garbage, kind):
    admin = daemon_on.caller()
    garbage.answers["list"] = ANSWERS[kind]
    seen = garbage.requests
    wait_until(lambda: garbage.requests >= seen + 3, 10, "the daemon has asked again and again")

    # Reads stand, requests are answered fast, changes fail clearly, nothing of the garbage gets out.
    begun = time.monotonic()
    listed = admin.get("/api/instances")
    assert listed.status_code == 200
    assert time.monotonic() - begun < 1
    assert isinstance(listed.json(), list)
    answer = admin.post("/api/instances/test1/start")
    assert answer.status_code in (404, 500, 502, 503, 504)
    assert list(answer.json()) == ["detail"]
    assert daemon_on.process.poll() is None

    garbage.answers.update(GOOD)
    wait_until(lambda: daemon_on.health()["lxd_connected"], 10, "it heals")
    wait_until(lambda: "X-Inventory-Age" not in admin.get("/api/instances").headers, 5, "reads are fresh")


def test_an_engine_that_is_garbage_from_the_start_is_not_connected(make_daemon):
    garbage = FakeLxd({"list": ANSWERS["no JSON"], "info": ANSWERS["no JSON"]})
    try:
        daemon = make_daemon({"socket": str(garbage.path), "tick": "200ms"}).start(connected=False)
        assert holds_for(lambda: daemon.health()["lxd_connected"] is False, 1)
        assert daemon.caller().get("/api/instances").status_code == 503
        garbage.answers = {"list": http(EMPTY_LIST), "info": http(API)}
        wait_until(lambda: daemon.health()["lxd_connected"], 10, "it heals")
    finally:
        garbage.end()


def test_an_engine_that_says_nothing_is_given_up_at_the_deadline(daemon_on, garbage):
    garbage.answers.update({"list": None, "info": None})
    wait_until(lambda: daemon_on.health()["lxd_connected"] is False, 10, "the daemon notices")
    begun = time.monotonic()
    answer = daemon_on.caller().post("/api/instances", {"name": "a", "image": "busybox"})
    assert (answer.status_code, answer.json()) == (503, {"detail": "LXD服务不可用"})
    assert time.monotonic() - begun < 3


def test_an_answer_without_end_does_not_fill_the_memory(daemon_on, garbage):
    before = daemon_on.resident_bytes()
    garbage.answers["list"] = b"HTTP/1.1 200 OK\r\n\r\n" + b"[" + b'"aaaaaaaaaaaaaaaa",' * (4 << 20)  # 80 MiB
    seen = garbage.requests
    wait_until(lambda: garbage.requests >= seen + 3, 30, "the daemon has asked again and again")
    assert daemon_on.resident_bytes() - before < 400 << 20
    garbage.answers.update(GOOD)
    wait_until(lambda: daemon_on.health()["lxd_connected"], 20, "it heals")
