"""`kill -9` of the daemon at random points: nothing acknowledged is missing, and no operation is left open.

BERTH_CRASH_ROUNDS says how many rounds, BERTH_CRASH_SEED where the random numbers begin; a failure names its seed.
"""

import os
import random
import threading
import time

import requests

from berth_daemon import Caller
from waiting import wait_until

ROUNDS = int(os.environ.get("BERTH_CRASH_ROUNDS", "30"))
SEED = int(os.environ.get("BERTH_CRASH_SEED", str(random.SystemRandom().randrange(10**6))))


class Work:
    """Requests under way while the daemon dies, and which of them were acknowledged."""

    def __init__(self, headers, base):
        self.headers, self.base = headers, base
        self.acknowledged = {}
        self.threads = []

    def begin(self, key, method, path, body=None):
        def send():
            try:
                answer = Caller(self.base, self.headers).request(method, path, json=body)
            except requests.exceptions.RequestException:
                return  # the daemon died first
            # Anything else but success is an answer that promises nothing.
            self.acknowledged[key] = 200 <= answer.status_code < 300 and answer.status_code != 202

        self.threads.append(threading.Thread(target=send))
        self.threads[-1].start()

    def end(self):
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


def settled(caller):
    return caller.operations("&state=running") == []


def one_round(daemon, lxd, seed, names):
    """One crash in the middle of a create, a stop and a delete."""
    chance = random.Random(seed)
    made, stopped, deleted = names
    caller = daemon.caller()
    caller.create(stopped)
    caller.create(deleted, start=False)

    work = Work({"Authorization": caller.session.headers["Authorization"]}, daemon.base)
    jobs = [("create", "POST", "/api/instances", {"name": made, "image": "busybox", "start": chance.random() < 0.5}),
            ("stop", "POST", f"/api/instances/{stopped}/stop?force=true", None),
            ("delete", "DELETE", f"/api/instances/{deleted}?force=true", None)]
    chance.shuffle(jobs)
    for job in jobs:
        work.begin(*job)
        time.sleep(chance.uniform(0, 0.1))  # the random point is the test's subject
    time.sleep(chance.uniform(0, 0.7))
    daemon.kill()
    work.end()

    daemon.start()
    caller = daemon.caller()
    wait_until(lambda: settled(caller), 60, lambda: f"operations are settled: {caller.operations('&state=running')}")
    status = {one["name"]: one["status"] for one in lxd.query("/1.0/instances?recursion=1")}
    if work.acknowledged.get("create"):
        assert made in status, "an acknowledged create is missing"
    if work.acknowledged.get("stop"):
        assert status[stopped] == "Stopped", "an acknowledged stop is undone"
    if work.acknowledged.get("delete"):
        assert deleted not in status, "an acknowledged delete is undone"
    check_outcomes(caller, status, made, stopped, deleted)
    wait_until(lambda: {one["name"]: one["status"] for one in caller.get("/api/instances").json()} == status, 10,
               "the panel tells LXD's state")
    return work.acknowledged


def check_outcomes(caller, status, made, stopped, deleted):
    """What the operations say became of them is what LXD says."""
    said = {(one["kind"], one["resource"]): one["state"] for one in caller.operations()}
    if ("instance.create", made) in said:
        assert said["instance.create", made] in ("succeeded", "failed", "cancelled")
        assert (said["instance.create", made] == "succeeded") == (made in status)
    else:
        assert made not in status, "made without a record"
    if said.get(("instance.stop", stopped)) == "succeeded":
        assert status[stopped] == "Stopped"
    if ("instance.delete", deleted) in said:
        assert (said["instance.delete", deleted] == "succeeded") == (deleted not in status)
    else:
        assert deleted in status, "deleted without a record"


def test_killed_at_random_points_nothing_acknowledged_is_missing(daemon, lxd, new_name):
    print(f"BERTH_CRASH_SEED={SEED}, {ROUNDS} rounds")
    acknowledged = 0
    for number in range(ROUNDS):
        names = [new_name(kind) for kind in ("made", "stopped", "deleted")]
        try:
            acknowledged += sum(one_round(daemon, lxd, SEED + number, names).values())
        except AssertionError as failure:
            raise AssertionError(f"BERTH_CRASH_SEED={SEED + number}: {failure}\n{daemon.log()}") from failure
        left = [name for name in names if name in lxd.names()]
        if left:
            lxd.lxc("delete", "--force", *left)
    # Rounds in which nothing was under way, or all was done, would show nothing.
    assert ROUNDS < 10 or 0 < acknowledged < 3 * ROUNDS
    assert daemon.cli("audit", "verify").returncode == 0


def test_killed_in_the_middle_of_small_writes_every_acknowledged_one_is_there(fake_daemon):
    kept = []
    for number in range(6):
        caller = fake_daemon.person("user")  # keys are limited per user
        done = []

        def write(caller=caller, number=number, done=done):
            try:
                for index in range(10_000):
                    name = f"key-{number}-{index}"
                    if caller.post("/auth/keys", {"name": name}).status_code == 201:
                        done.append(name)
            except requests.exceptions.RequestException:
                return  # the daemon died

        thread = threading.Thread(target=write)
        thread.start()
        wait_until(lambda done=done: len(done) >= 10 + 7 * number, 20, "some are written")
        fake_daemon.kill()
        thread.join(20)
        kept.append((caller, done))
        fake_daemon.start()
        for person, names in kept:
            assert set(names) <= {one["name"] for one in person.get("/auth/keys").json()}
    assert fake_daemon.cli("audit", "verify").returncode == 0
