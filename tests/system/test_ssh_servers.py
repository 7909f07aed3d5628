"""A real Docker behind a real SSH server: added with its keys, which nobody sees again, lost, and found again."""

import json
import os
import pathlib
import secrets
import subprocess

import pytest

from berth_daemon import BerthDaemon, Caller, binary, fake_engine
from docker_servers import IMAGE, DockerServers
from ssh_server import SshServer
from waiting import wait_until

PREFIX = "/container-rental"
SETTINGS = {"containers": {"tick": "1s"}, "identity": {"anonymous": "loopback"}}


@pytest.fixture(scope="module")
def docker():
    with DockerServers(1) as servers:
        yield servers


@pytest.fixture(scope="module")
def ssh():
    with SshServer() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(docker, ssh):
    with BerthDaemon(fake_engine(0), SETTINGS) as running:
        running.start()
        answer = Caller(running.base + PREFIX).post("/api/servers", wish(docker, ssh, "far"))
        assert answer.status_code == 200, answer.text
        yield running


@pytest.fixture
def caller(daemon):
    return Caller(daemon.base + PREFIX)


def wish(docker, ssh, name, **fields):
    return {"name": name, "url": ssh.url(docker.socket(1)), "key": ssh.key(), "host_key": ssh.host_key(), **fields}


def server(caller, name="far"):
    return next(one for one in caller.get("/api/servers").json()["servers"] if one["name"] == name)


def secret_part(key):
    """What of a key's text is its own."""
    return key.splitlines()[-3]


def tunnels(process):
    """The ssh of a process."""
    found = []
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            if pathlib.Path(f"/proc/{child}/comm").read_text(encoding="utf-8") == "ssh\n":
                found.append(int(child))
    return found


def test_containers_live_on_it_as_on_any_other(caller):
    name = f"c-{secrets.token_hex(4)}"
    body = {"container_name": name, "image": IMAGE, "networks": ["none"], "server": "far"}
    assert caller.post("/api/containers", body).status_code == 200
    assert caller.get(f"/api/containers/{name}/status").json()["status"] == "running"
    ran = caller.post(f"/api/containers/{name}/exec", {"command": ["echo", "over ssh"]})
    assert ran.status_code == 200 and "over ssh" in ran.text, ran.text
    assert caller.delete(f"/api/containers/{name}?force=true").status_code == 200


def test_its_key_is_seen_by_nobody_again(daemon, caller, ssh):
    secret = secret_part(ssh.key())
    number = server(caller)["server_id"]
    for path in ("/api/servers", f"/api/servers/{number}"):
        answer = caller.get(path)
        assert answer.status_code == 200
        assert secret not in answer.text and "PRIVATE KEY" not in answer.text
    kept = [file for file in daemon.state.rglob("*") if file.is_file()]
    assert any(file.name.endswith(".db") for file in kept)
    for file in [*kept, daemon.error_file]:
        assert secret.encode() not in file.read_bytes(), file
    for process in tunnels(daemon.process.pid):
        for file in ("cmdline", "environ"):
            assert secret.encode() not in pathlib.Path(f"/proc/{process}/{file}").read_bytes()


@pytest.mark.parametrize("change,words", [
    ({"host_key": None}, "ssh-keyscan -p"),
    ({"host_key": "no key at all"}, "known_hosts"),
    ({"key": None}, "private key"),
    ({"url": "ssh://root@-oProxyCommand=id"}, "ssh://user@host"),
    ({"url": "ssh://root:secret@127.0.0.1"}, "ssh://user@host"),
    ({"certificate": "PEM"}, "tcp://"),
])
@pytest.mark.parametrize("test", [True, False])
def test_an_address_that_cannot_work_is_refused_whether_it_is_tested_or_not(caller, docker, ssh, change, words, test):
    body = {key: value for key, value in wish(docker, ssh, "other", test=test, **change).items() if value is not None}
    answer = caller.post("/api/servers", body, headers={"Accept-Language": "en"})
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]


def test_a_key_under_a_passphrase_is_refused(caller, docker, ssh):
    locked = ssh.make_key("locked", "a passphrase")
    answer = caller.post("/api/servers", wish(docker, ssh, "other", key=locked), headers={"Accept-Language": "en"})
    assert answer.status_code == 400 and "passphrase" in answer.json()["error"], answer.text


def test_a_server_that_cannot_be_reached_says_why(caller, docker, ssh):
    def refusal(**change):
        answer = caller.post("/api/servers", wish(docker, ssh, "other", **change), headers={"Accept-Language": "en"})
        assert answer.status_code == 503, answer.text
        return answer.json()["error"]

    assert "does not take the SSH key for the user root" in refusal(key=ssh.key("strange"))
    assert "host key is not the one" in refusal(host_key=(ssh.folder / "strange.pub").read_text(encoding="utf-8"))
    assert "no socket /nowhere.sock" in refusal(url=ssh.url("/nowhere.sock"))


def test_the_command_line_adds_one_from_files(daemon, caller, docker, ssh):
    scanned = ssh.folder / "scanned"
    scanned.write_text(ssh.host_key(), encoding="utf-8")
    added = subprocess.run(
        [binary(), "servers", "add", "second", ssh.url(docker.socket(1)), "--key", ssh.folder / "client", "--host-key",
         scanned, "--server", daemon.base], env=daemon.environment, capture_output=True, text=True, timeout=60,
        check=False)
    assert added.returncode == 0, added.stderr
    assert server(caller, "second")["engine"].startswith("Docker")
    number = server(caller, "second")["server_id"]
    assert caller.delete(f"/api/servers/{number}").status_code == 200


def test_the_doctor_knows_that_ssh_is_needed(daemon):
    told = subprocess.run([binary(), "doctor", "--config", daemon.file, "-o", "json"], env=daemon.environment,
                          capture_output=True, text=True, timeout=60, check=False)
    found = [one for one in json.loads(told.stdout) if one["check"] == "ssh"]
    assert [one["status"] for one in found] == ["ok"], told.stdout


def test_a_lost_ssh_server_is_told_of_and_found_again(caller, ssh):
    ssh.kill()
    try:
        lost = wait_until(lambda: (now := server(caller))["status"] == "unreachable" and now, 40, "it is noticed")
        assert "Connection refused" in lost["reason"]
    finally:
        ssh.start()
    wait_until(lambda: server(caller)["status"] == "healthy", 40, lambda: f"it is back: {server(caller)}")


def test_a_killed_daemon_leaves_no_ssh_and_starts_anew(daemon, caller, ssh):
    old = wait_until(lambda: tunnels(daemon.process.pid), 20, "it has a connection")
    daemon.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{process}") for process in old), 10, "ssh went with it")
    wait_until(lambda: not ssh.connections(), 10, "the server sees it go")
    left = list((daemon.state / "ssh-sockets").iterdir())
    daemon.start()
    wait_until(lambda: server(caller)["status"] == "healthy", 40, lambda: f"it is back: {server(caller)}")
    assert not any(folder.exists() for folder in left)
