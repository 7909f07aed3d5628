"""The real daemon as a process of its own, and clients of its API."""

import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile

import requests

from waiting import wait_until
from web_socket import WebSocket

ADMIN_PASSWORD = "first-Administrator-9"
PASSWORD = "tester-Password-7"
SANITIZER = re.compile(r"(ERROR|WARNING): \w*Sanitizer|runtime error:|_GLIBCXX_ASSERTIONS|Assertion .* failed")


INSTANCES = 30


def fake_engine(instances=INSTANCES):
    """An [engine.lxd] in memory with instances inst-00001 …, every tenth of them stopped."""
    return {"kind": "fake", "instances": instances, "tick": "200ms"}


def binary():
    path = os.environ.get("BERTH_BINARY")
    assert path and os.access(path, os.X_OK), "BERTH_BINARY names no program: run this through ctest"
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)  # strings, numbers, booleans and arrays are written alike


class Caller:
    """Sends requests as one caller; the answers are `requests`' own."""

    def __init__(self, base, headers=None):
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy stands between the test and the daemon
        self.session.headers.update(headers or {})

    def request(self, method, path, **options):
        options.setdefault("timeout", 100)
        return self.session.request(method, self.base + path, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, json=body, **options)

    def patch(self, path, body=None, **options):
        return self.request("PATCH", path, json=body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def web_socket(self, path, **options):
        return WebSocket("ws" + self.base.removeprefix("http") + path, headers=dict(self.session.headers), **options)

    # What most tests do with instances.

    def create(self, name, **fields):
        answer = self.post("/api/instances", {"name": name, "image": "busybox", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def status_of(self, name):
        """The instance's status as the list shows it, or None."""
        for instance in self.get("/api/instances").json():
            if instance["name"] == name:
                return instance["status"]
        return None

    def names(self):
        return [instance["name"] for instance in self.get("/api/instances").json()]

    def operations(self, query=""):
        return self.get(f"/operations?limit=1000{query}").json()["operations"]


class BerthDaemon:
    """One state folder and the daemon on it, which can be started, ended, killed and started again.

    `engine` is the [engine.lxd] table: {"kind": "fake"} or {"socket": "/…/unix.socket"}. `settings` are further
    sections: {"identity": {"anonymous": "loopback"}}.
    """

    def __init__(self, engine, settings=None, folder=None, environment=None):
        self._own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="berth-"))
        self.state = self.folder / "state"
        self.file = self.folder / "berth.toml"
        self.error_file = self.folder / "stderr.txt"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.engine = engine
        self.settings = settings or {}
        # Sanitizers and languages of the test's own surroundings pass on, BERTH_* of a developer's shell do not.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("BERTH_") and k != "LXD_DIR"}
        self.environment.update({"BERTH_ADMIN_PASSWORD": ADMIN_PASSWORD, "LC_ALL": "C.UTF-8"}, **(environment or {}))
        self.process = None
        self.write_configuration()

    def write_configuration(self):
        sections = {"state": {"folder": str(self.state)}, "server": {"access_log": ""}}
        for name, values in self.settings.items():
            sections[name] = {**sections.get(name, {}), **values}
        lines = []
        for name, values in [*sections.items(), ("engine.lxd", self.engine)]:
            lines.append(f"[{name}]")
            lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        lines += ["[[listener]]", 'address = "127.0.0.1"', f"port = {self.port}"]
        self.file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    # Its life.

    def start(self, connected=True, seconds=20):
        """Starts it and waits until it is healthy and, unless told otherwise, has read the engine."""
        self.launch()
        self.wait_healthy(connected, seconds)
        return self

    def launch(self):
        assert self.process is None
        with open(self.error_file, "ab") as errors:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [binary(), "serve", "--config", str(self.file)], env=self.environment, stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors, start_new_session=True)

    def health(self):
        """The answer of /api/health, or None while nothing listens."""
        try:
            answer = requests.get(self.base + "/api/health", timeout=5)
        except requests.exceptions.ConnectionError:
            return None
        return answer.json()

    def wait_healthy(self, connected=True, seconds=20):
        def healthy():
            assert self.process.poll() is None, f"the daemon ended by itself: {self.log()}"
            health = self.health()
            return health is not None and (health["lxd_connected"] or not connected)

        wait_until(healthy, seconds, lambda: f"the daemon is healthy: {self.health()} {self.log()}")

    def stop(self, seconds=30):
        """Ends it in order; yields how long that took to say."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        assert code == 0, f"exit code {code}: {self.log()}"
        self.check_reports()

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.process = None
        self.check_reports()

    def restart(self, **options):
        self.stop()
        return self.start(**options)

    def check_reports(self):
        text = self.error_file.read_text(errors="replace")
        found = SANITIZER.search(text)
        assert not found, text[max(0, found.start() - 500):found.start() + 6000]

    def end(self):
        """Ends it if it runs, and removes what it left."""
        try:
            if self.process is not None:
                ended_by_itself = self.process.poll()
                assert ended_by_itself is None, f"ended by itself with {ended_by_itself}: {self.log()}"
                self.stop()
        finally:
            if self.process is not None:
                self.process.kill()
                self.process.wait(10)
                self.process = None
            if self._own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def log(self):
        return self.error_file.read_text(errors="replace")[-3000:] if self.error_file.exists() else ""

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as figures:
            return int(figures.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # Its command line.

    def cli(self, *arguments, text_input=None, check=True, timeout=60):
        done = subprocess.run([binary(), *arguments, "--config", str(self.file)], env=self.environment,
                              input=text_input, capture_output=True, text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"berth {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def add_user(self, name, role):
        self.cli("user", "add", name, "--email", f"{name}@example.org", "--role", role, "--password-stdin",
                 text_input=PASSWORD + "\n")

    # Its callers.

    def anonymous(self, **headers):
        return Caller(self.base, headers)

    def login(self, name="admin", password=ADMIN_PASSWORD, **more):
        return Caller(self.base).post("/auth/login", {"username": name, "password": password, **more})

    def caller(self, name="admin", password=ADMIN_PASSWORD):
        answer = self.login(name, password)
        assert answer.status_code == 200, answer.text
        return Caller(self.base, {"Authorization": "Bearer " + answer.json()["access_token"]})

    def person(self, role):
        """A new user of a role, signed in."""
        name = f"{role}-{secrets.token_hex(4)}"
        self.add_user(name, role)
        caller = self.caller(name, PASSWORD)
        caller.name = name
        return caller
