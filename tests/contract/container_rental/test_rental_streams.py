"""Logs and consoles over WebSockets, on every engine in turn."""

import contextlib
import datetime

import pytest

from waiting import wait_until
from web_socket import Refused, Terminal


@pytest.fixture
def echo(anyone, new_name):
    """A container whose main process writes what it reads."""
    name = new_name("echo")
    anyone.create(name, command=["cat"])
    yield name
    anyone.delete(f"/api/containers/{name}?force=true")


def stream(caller, container, what="logs", query=""):
    return Terminal(caller.web_socket(f"/ws/containers/{container}/{what}{query}"))


@contextlib.contextmanager
def said(caller, container, text):
    """What the container has said stands in its log."""
    console = stream(caller, container, "console")
    with console.socket:
        console.type(text)
        console.expect(text)
        yield console


def test_a_log_is_shown_as_it_is_written(anyone, echo):
    log = stream(anyone, echo)
    with log.socket, said(anyone, echo, "first words\n") as console:
        log.expect("first words\n")
        console.type("and more\n")
        log.expect("and more\n")


def stamp_of(caller, container, words):
    """When a container said something, as its engine wrote it down."""
    lines = caller.get(f"/api/containers/{container}/logs?timestamps=true").json()["logs"].splitlines()
    stamp = next((line.split()[0] for line in lines if line.endswith(words)), None)
    return stamp and datetime.datetime.fromisoformat(stamp[:26])


def test_a_log_begins_where_it_is_wanted(anyone, echo):
    with said(anyone, echo, "old words\n") as console:
        wait_until(lambda: stamp_of(anyone, echo, "old words"), 10, "they are logged")
        later = stamp_of(anyone, echo, "old words") + datetime.timedelta(microseconds=1)
        since = later.isoformat(timespec="microseconds") + "Z"
        console.type("new words\n")
        console.expect("new words\n")
        for query, wanted in (("?tail=1", "new words\n"), (f"?since={since}", "new words\n"),
                              ("", "old words\nnew words\n")):
            log = stream(anyone, echo, query=query)
            with log.socket:
                assert log.expect("new words\n") == wanted, query
        log = stream(anyone, echo, query="?tail=1&timestamps=true")
        with log.socket:
            assert log.expect("new words\n").startswith(since[:4])
        assert anyone.get(f"/api/containers/{echo}/logs?since={since}").json()["logs"] == "new words\n"


def test_a_log_says_why_it_ends(anyone, new_name):
    name = new_name("ends")
    anyone.create(name, command=["cat"])
    log = stream(anyone, name)
    with log.socket:
        assert anyone.post(f"/api/containers/{name}/stop?force=true").status_code == 200
        assert log.expect_end() == {"type": "end", "reason": "stopped"}
        assert log.socket.wait_closed() == 1000
    assert anyone.post(f"/api/containers/{name}/start").status_code == 200
    log = stream(anyone, name, query="?tail=0")
    with log.socket, said(anyone, name, "here\n"):
        log.expect("here\n")
        assert anyone.delete(f"/api/containers/{name}?force=true").status_code == 200
        assert log.expect_end() == {"type": "end", "reason": "removed"}
        assert log.socket.wait_closed() == 1000


def test_a_console_joins_the_main_process_and_leaving_it_ends_nothing(anyone, echo):
    with said(anyone, echo, "once\n"):
        pass
    assert anyone.status_of(echo) == "running"
    with said(anyone, echo, "twice\n") as console:
        console.resize(132, 43)  # of no meaning without a terminal, and harmless
        console.type("thrice\n")
        console.expect("thrice\n")
        assert anyone.post(f"/api/containers/{echo}/stop?force=true").status_code == 200
        assert console.expect_end() == {"type": "exit", "code": None}
    console = stream(anyone, echo, "console")
    with console.socket:
        assert console.expect_end()["type"] == "error"
        assert console.socket.wait_closed() == 1011


def test_a_terminal_of_a_container_runs_a_shell_or_a_command(anyone, echo):
    terminal = stream(anyone, echo, "exec", "?command=echo&command=from-inside")
    with terminal.socket:
        terminal.expect("from-inside")
        assert terminal.expect_end() == {"type": "exit", "code": 0}
        assert terminal.socket.wait_closed() == 1000


def test_pings_are_answered(anyone, echo):
    for what in ("logs", "console"):
        with anyone.web_socket(f"/ws/containers/{echo}/{what}") as socket:
            socket.ping()


@pytest.mark.parametrize("path,status", [
    ("logs?tail=x", 400), ("logs?since=yesterday", 400), ("logs?timestamps=perhaps", 400), ("console?cols=0", 400),
])
def test_a_bad_query_is_400(anyone, echo, path, status):
    with pytest.raises(Refused) as refused:
        anyone.web_socket(f"/ws/containers/{echo}/{path}")
    assert refused.value.status == status


@pytest.mark.parametrize("what", ["logs", "console", "exec"])
def test_an_unknown_container_is_404(anyone, what):
    with pytest.raises(Refused) as refused:
        anyone.web_socket(f"/ws/containers/no-such-container/{what}")
    assert refused.value.status == 404


def refusal(caller, container, what):
    """The status without an upgrade; nothing if the socket opens."""
    try:
        caller.web_socket(f"/ws/containers/{container}/{what}").close()
    except Refused as refused:
        return refused.status
    return None


SOCKETS = ("logs", "console", "exec?command=sh")


@pytest.fixture
def owned(admin, new_name):
    name = new_name("c")
    admin.create(name)
    return name


def acl(admin, person, permissions, container, word):
    body = {"user_id": person.user_id, "permissions": permissions, "container_name": container}
    answer = admin.post(f"/api/acl/{word}", body)
    assert answer.status_code == 200, answer.text


def test_each_needs_its_right_and_loses_it_while_it_is_open(admin, person, owned):
    user = person("user")
    assert [refusal(user, owned, what) for what in SOCKETS] == [404] * 3
    acl(admin, user, ["read"], owned, "generate")
    assert [refusal(user, owned, what) for what in SOCKETS] == [None, 403, 403]
    acl(admin, user, ["read", "execute"], owned, "update")
    sockets = {what: user.web_socket(f"/ws/containers/{owned}/{what}") for what in SOCKETS}
    acl(admin, user, ["read"], owned, "update")
    assert sockets["console"].wait_closed() == 4403
    assert sockets["exec?command=sh"].wait_closed() == 4403
    assert not sockets["logs"].closed.is_set()
    assert admin.post("/api/acl/revoke", {"user_id": user.user_id}).status_code == 200
    assert sockets["logs"].wait_closed() == 4403


def test_a_logout_closes_what_is_open(daemon, person, admin, owned):
    user = person("manager")
    sockets = [user.web_socket(f"/ws/containers/{owned}/{what}") for what in SOCKETS]
    assert user.post("/auth/logout").status_code == 200
    assert [socket.wait_closed() for socket in sockets] == [4401] * 3
