"""What a container's environment holds is nowhere in the daemon's folder, and outlives a change of the sealing key."""

import pytest

from berth_daemon import fake_engine

MARKER = "hunter2-marker"


@pytest.fixture
def rental(make_daemon):
    daemon = make_daemon(fake_engine(0), {"containers": {"tick": "500ms"}, "log": {"level": "debug"}}).start()
    caller = contract_of(daemon)
    for number in (1, 2):
        answer = caller.post("/api/servers", {"name": f"fake-{number}", "url": "fake://0"})
        assert answer.status_code == 200, answer.text
    return daemon, caller


def contract_of(daemon):
    caller = daemon.caller()
    caller.base += "/container-rental"
    return caller


def good(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def files(daemon):
    return [file for file in daemon.folder.rglob("*") if file.is_file()]


def mentions(daemon, text):
    return [str(file) for file in files(daemon) if text.encode() in file.read_bytes()]


def manifests(daemon):
    return [file for file in files(daemon) if file.name == "manifest.json"]


def environment_of(caller, name):
    return good(caller.get(f"/api/containers/{name}"))["environment"]


def test_an_environment_is_in_no_file_and_outlives_a_change_of_the_key(rental):
    daemon, caller = rental
    good(caller.post("/api/containers", {"container_name": "web", "image": "busybox", "server": "fake-1",
                                         "environment": {"PASSWORD": MARKER}}))
    good(caller.request("PUT", "/api/containers/web", json={"environment": {"PASSWORD": MARKER + "-2"}}))
    good(caller.post("/api/ha/replace_container", {"container_name": "web", "server": "fake-2"}))
    good(caller.post("/api/containers/web/archive"))
    good(caller.post("/api/containers/web/restore"))
    good(caller.post("/api/containers/web/archive"))
    assert environment_of(caller, "web") == {"PASSWORD": MARKER + "-2"}
    assert manifests(daemon)
    assert mentions(daemon, "busybox"), "what is no secret is found this way"
    assert mentions(daemon, MARKER) == []

    daemon.stop()
    before = [file.read_text() for file in manifests(daemon)]
    rotated = daemon.cli("sealing", "rotate")
    assert "2 values" in rotated.stdout, rotated.stdout
    assert [file.read_text() for file in manifests(daemon)] != before
    key_file = daemon.state / "sealing.key"
    newest = key_file.read_text().splitlines()[0]
    assert mentions(daemon, MARKER) == []

    daemon.start()
    caller = contract_of(daemon)
    assert environment_of(caller, "web") == {"PASSWORD": MARKER + "-2"}
    good(caller.post("/api/containers/web/restore"))
    assert environment_of(caller, "web") == {"PASSWORD": MARKER + "-2"}
    good(caller.post("/api/containers/web/start"))
    assert newest in key_file.read_text()
    assert mentions(daemon, MARKER) == []
