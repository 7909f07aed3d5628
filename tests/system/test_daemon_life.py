"""Starts, restarts, reloads and ends."""

import concurrent.futures
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import time

import pytest
import requests

from berth_daemon import ADMIN_PASSWORD, PASSWORD, BerthDaemon, Caller, binary, fake_engine
from waiting import wait_until


def test_a_restart_keeps_users_sessions_keys_operations_and_the_audit_log(fake_daemon):
    person = fake_daemon.person("manager")
    key = person.post("/auth/keys", {"name": "kept"}).json()["key"]
    person.post("/api/instances/inst-00001/stop?force=true")
    operations = person.operations()
    entries = fake_daemon.cli("audit", "list", "-o", "json").stdout
    fake_daemon.restart()
    assert person.get("/auth/me").json()["username"] == person.name
    assert fake_daemon.login(person.name, PASSWORD).status_code == 200
    assert Caller(fake_daemon.base, {"X-API-Key": key}).get("/api/instances").status_code == 200
    assert person.operations() == operations
    assert all(hash_ in fake_daemon.cli("audit", "list", "-o", "json").stdout
               for hash_ in [part.split('"')[0] for part in entries.split('"hash":"')[1:]])
    assert fake_daemon.cli("audit", "verify").returncode == 0


def test_a_revoked_session_stays_revoked_over_a_restart(fake_daemon):
    person = fake_daemon.person("user")
    assert person.post("/auth/logout").status_code == 200
    fake_daemon.restart()
    assert person.get("/auth/me").status_code == 401


def test_the_first_start_makes_a_password_that_only_the_owner_reads():
    with BerthDaemon(fake_engine()) as daemon:
        del daemon.environment["BERTH_ADMIN_PASSWORD"]
        daemon.start()
        files = [f for f in daemon.state.iterdir() if "password" in f.name]
        assert len(files) == 1
        assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
        password = files[0].read_text().strip()
        assert len(password) >= 16
        assert daemon.login("admin", password).status_code == 200
        assert password not in daemon.log()
        # A second start neither makes nor shows another.
        daemon.restart()
        assert daemon.login("admin", password).status_code == 200


def test_everything_in_the_state_folder_is_the_owners_alone(fake_daemon):
    fake_daemon.caller().post("/auth/keys", {"name": "k"})
    assert stat.S_IMODE(fake_daemon.state.stat().st_mode) == 0o700
    for file in fake_daemon.state.rglob("*"):
        if file.is_symlink() or file.is_socket():
            continue
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_no_password_or_token_rests_in_the_clear(fake_daemon):
    person = fake_daemon.person("user")
    key = person.post("/auth/keys", {"name": "k"}).json()["key"]
    secret = person.post("/auth/totp").json()["secret"]
    token = person.session.headers["Authorization"].removeprefix("Bearer ")
    refresh = fake_daemon.login(person.name, PASSWORD).json()["refresh_token"]
    fake_daemon.stop()
    stored = b"".join(f.read_bytes() for f in fake_daemon.state.rglob("*") if f.is_file())
    stored += fake_daemon.error_file.read_bytes()
    for hidden in (PASSWORD, ADMIN_PASSWORD, key, secret, token, refresh):
        assert hidden.encode() not in stored


def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(fake_daemon):
    other = BerthDaemon(fake_engine(), folder=fake_daemon.folder)
    other.file = fake_daemon.folder / "other.toml"
    other.error_file = fake_daemon.folder / "other.txt"
    other.write_configuration()
    other.launch()
    assert other.process.wait(20) == 1
    assert str(fake_daemon.process.pid) in other.error_file.read_text()
    assert fake_daemon.caller().get("/api/instances").status_code == 200


def test_a_port_in_use_is_refused_by_name(fake_daemon):
    with BerthDaemon(fake_engine()) as other:
        other.port = fake_daemon.port
        other.write_configuration()
        other.launch()
        assert other.process.wait(20) in (1, 5)
        other.process = None
        assert str(fake_daemon.port) in other.error_file.read_text()


def test_a_configuration_that_is_wrong_is_refused_with_every_line():
    with BerthDaemon(fake_engine(), {"server": {"threads": "many", "colour": "red"}}) as daemon:
        lines = daemon.file.read_text().splitlines()
        daemon.launch()
        assert daemon.process.wait(20) == 2
        daemon.process = None
        told = daemon.error_file.read_text()
        for key in ("threads", "colour"):
            number = next(n for n, line in enumerate(lines, 1) if line.startswith(key))
            assert f"berth.toml:{number}:" in told and key in told


@pytest.fixture
def with_log(make_daemon):
    daemon = make_daemon(fake_engine())
    daemon.settings = {"log": {"file": str(daemon.folder / "berth.log")},
                       "server": {"access_log": str(daemon.folder / "access.log")}}
    daemon.write_configuration()
    return daemon.start()


def test_sighup_opens_rotated_log_files_anew(with_log):
    admin = with_log.caller()
    for name in ("berth.log", "access.log"):
        os.rename(with_log.folder / name, with_log.folder / (name + ".1"))
    with_log.process.send_signal(signal.SIGHUP)
    wait_until(lambda: (with_log.folder / "access.log").exists() and (with_log.folder / "berth.log").exists(), 5,
               "the files are there again")
    admin.get("/api/instances/inst-00007")
    wait_until(lambda: "inst-00007" in (with_log.folder / "access.log").read_text(), 5, "the new file is written")


def test_sighup_takes_over_what_can_be_and_names_what_cannot(with_log):
    with_log.settings["log"]["level"] = "debug"
    with_log.settings["server"]["threads"] = 3
    with_log.write_configuration()
    with_log.process.send_signal(signal.SIGHUP)
    log = with_log.folder / "berth.log"
    wait_until(lambda: "log.level" in log.read_text() and "server.threads" in log.read_text(), 5, "both are named")
    assert with_log.health()["status"] == "healthy"


def test_sighup_with_a_wrong_configuration_changes_nothing(with_log):
    admin = with_log.caller()
    with_log.file.write_text("[server]\nthreads = 'x'\n")
    with_log.process.send_signal(signal.SIGHUP)
    log = with_log.folder / "berth.log"
    wait_until(lambda: "server.threads" in log.read_text() or "berth.toml:2" in log.read_text(), 5, "it is refused")
    assert admin.get("/api/instances").status_code == 200
    with_log.write_configuration()


def test_requests_go_on_through_many_reloads(fake_daemon):
    admin = fake_daemon.caller()
    for _ in range(20):
        fake_daemon.process.send_signal(signal.SIGHUP)
        assert admin.get("/api/instances").status_code == 200
        assert admin.get("/auth/me").status_code == 200


def test_sigterm_lets_a_running_change_finish_and_takes_nothing_new(daemon, lxd, new_name):
    admin, name = daemon.caller(), new_name()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        change = pool.submit(admin.post, "/api/instances", {"name": name, "image": "busybox"})
        wait_until(lambda: daemon.health() and daemon_operations(daemon), 5, "the operation has begun")
        daemon.process.send_signal(signal.SIGTERM)
        answer = change.result(30)
    assert answer.status_code == 201
    assert lxd.status(name) == "Running"
    assert daemon.process.wait(20) == 0
    daemon.process = None
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(daemon.base + "/", timeout=5)
    lxd.lxc("delete", "--force", name)


def daemon_operations(daemon):
    """How many operations the store holds as running; asks no request of the daemon."""
    with sqlite3.connect(f"file:{daemon.state}/berth.db?mode=ro", uri=True) as store:
        return store.execute("SELECT count(*) FROM operations WHERE state = 'running'").fetchone()[0]


def test_it_ends_at_once_when_nothing_is_under_way(fake_daemon):
    fake_daemon.caller().get("/api/instances")
    begun = time.monotonic()
    fake_daemon.stop()
    assert time.monotonic() - begun < 2


def test_sigint_ends_it_in_order_too(fake_daemon):
    fake_daemon.process.send_signal(signal.SIGINT)
    assert fake_daemon.process.wait(10) == 0
    fake_daemon.process = None


def test_it_is_healthy_soon_after_its_start(fake_daemon):
    fake_daemon.stop()
    begun = time.monotonic()
    fake_daemon.start()
    assert time.monotonic() - begun < 3  # bench/ measures the second that is aimed at


def test_the_sealing_key_cannot_be_lost_quietly(fake_daemon):
    fake_daemon.stop()
    keys = [f for f in fake_daemon.state.iterdir() if "sealing" in f.name]
    assert keys
    for file in keys:
        shutil.move(file, fake_daemon.folder / file.name)
    fake_daemon.launch()
    assert fake_daemon.process.wait(20) != 0
    fake_daemon.process = None
    for file in keys:
        shutil.move(fake_daemon.folder / file.name, file)
    fake_daemon.start()


def test_the_command_line_is_a_client_of_the_api(fake_daemon):
    caller = fake_daemon.caller()
    key = caller.post("/auth/keys", {"name": "cli"}).json()["key"]
    surroundings = {**fake_daemon.environment, "BERTH_SERVER": fake_daemon.base, "BERTH_TOKEN": key}

    def berth(*arguments):
        return subprocess.run([binary(), "instances", *arguments], env=surroundings, capture_output=True, text=True,
                              timeout=60, check=False)

    listed = berth("list", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    assert "inst-00001" in listed.stdout
    assert berth("stop", "inst-00001").returncode == 0
    assert caller.status_of("inst-00001") == "Stopped"
    assert berth("show", "none").returncode == 3
