"""The store's disk is full, or another process holds the store."""

import contextlib
import os
import sqlite3
import subprocess
import threading
import time

import pytest

from berth_daemon import fake_engine
from waiting import wait_until


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MiB."""
    assert os.geteuid() == 0, "mounting a small file system needs root"
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Fills a disk to its last byte."""
    file = folder / "filler"
    with open(file, "wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"\0" * 4096)
    with open(file, "ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"\0")
    return file


def test_a_full_disk_gives_clear_errors_and_heals(small_disk, make_daemon):
    daemon = make_daemon(fake_engine(), folder=small_disk).start()
    admin = daemon.caller()
    filler = fill(small_disk)

    def stop_or_start():
        """A change and its answer; without its record it must not happen."""
        before = admin.status_of("inst-00001")
        answer = admin.post(f"/api/instances/inst-00001/{'start' if before == 'Stopped' else 'stop?force=true'}")
        if answer.status_code != 200:
            assert admin.status_of("inst-00001") == before
        return answer

    # Until the store's own files need room a few writes may still pass.
    answers = []

    def is_refused():
        answers.append(stop_or_start())
        return answers[-1].status_code != 200

    wait_until(is_refused, 30, "a change is refused", every=0)
    assert answers[-1].status_code in (500, 503)
    assert list(answers[-1].json()) == ["detail"]
    assert str(small_disk) not in answers[-1].text
    # Reads go on.
    for path in ("/api/health", "/api/instances", "/api/instances/inst-00001", "/auth/me"):
        assert admin.get(path).status_code == 200, path

    filler.unlink()
    wait_until(lambda: stop_or_start().status_code == 200, 10, "changes go on")
    assert admin.post("/api/instances/inst-00002/stop?force=true").status_code == 200
    daemon.restart()
    assert daemon.cli("audit", "verify").returncode == 0


def test_a_start_on_a_full_disk_is_refused_clearly(small_disk, make_daemon):
    daemon = make_daemon(fake_engine(), folder=small_disk)
    filler = fill(small_disk)
    daemon.error_file = small_disk.parent / "stderr.txt"
    daemon.launch()
    assert daemon.process.wait(20) not in (0, -6, -11)
    daemon.process = None
    assert daemon.error_file.read_text().strip()
    filler.unlink()
    daemon.start()


@contextlib.contextmanager
def locked(daemon):
    """Another process' transaction on the store."""
    other = sqlite3.connect(daemon.state / "berth.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        if other.in_transaction:
            other.execute("ROLLBACK")
        other.close()


def test_a_write_waits_while_another_process_holds_the_store_for_a_moment(make_daemon):
    daemon = make_daemon(fake_engine(), {"store": {"wait": "10s"}}).start()
    admin = daemon.caller()
    with locked(daemon) as other:
        timer = threading.Timer(1.5, lambda: other.execute("ROLLBACK"))
        timer.start()
        begun = time.monotonic()
        answer = admin.post("/auth/keys", {"name": "waits"})
        waited = time.monotonic() - begun
        timer.join()
    assert answer.status_code == 201
    assert 1 < waited < 8


def test_a_store_held_for_longer_is_503_reads_go_on_and_it_heals(make_daemon):
    daemon = make_daemon(fake_engine(), {"store": {"wait": "500ms"}}).start()
    admin = daemon.caller()
    with locked(daemon):
        begun = time.monotonic()
        answers = [admin.post("/auth/keys", {"name": "held"}), admin.post("/api/instances/inst-00001/stop?force=true")]
        assert time.monotonic() - begun < 6
        for answer in answers:
            assert answer.status_code == 503, answer.text
            assert list(answer.json()) == ["detail"]
        assert admin.status_of("inst-00001") == "Running"
        assert admin.get("/auth/me").status_code == 200
        assert admin.get("/operations").status_code == 200
    assert admin.post("/auth/keys", {"name": "held"}).status_code == 201
    assert admin.post("/api/instances/inst-00001/stop?force=true").status_code == 200


def test_a_changed_audit_entry_is_found(make_daemon):
    daemon = make_daemon(fake_engine()).start()
    admin = daemon.caller()
    for number in range(3):
        admin.post("/auth/keys", {"name": f"k{number}"})
    daemon.stop()
    assert daemon.cli("audit", "verify").returncode == 0
    with contextlib.closing(sqlite3.connect(daemon.state / "berth.db")) as store, store:
        tables = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE name LIKE 'audit%'")]
        table = next(t for t in tables if "actor" in [c[1] for c in store.execute(f"PRAGMA table_info({t})")])
        for (trigger,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            store.execute(f"DROP TRIGGER {trigger}")
        store.execute(f"UPDATE {table} SET actor = 'somebody' WHERE rowid = (SELECT max(rowid) - 1 FROM {table})")
    done = daemon.cli("audit", "verify", check=False)
    assert done.returncode == 1
    assert done.stderr
