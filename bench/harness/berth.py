"""The daemon under load: a process of its own with a configuration and a state made for one case."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from harness import machine

PASSWORD = "bench-Administrator-1"


class Berth:
    """Starts on entering, ends on leaving. `engine` is its [engine.bench] table."""

    def __init__(self, binary, engine, threads=1, core=None, more=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench-"))
        self.port = machine.free_port()
        self.binary = binary
        self.core = core
        self.process = None
        self.token = None
        values = "\n".join(f"{key} = {json.dumps(value)}" for key, value in engine.items())
        (self.folder / "berth.toml").write_text(f"""
[state]
folder = "{self.folder}/state"
[server]
threads = {threads}
access_log = ""
[identity]
anonymous = "never"
access_lifetime = "2h"
[panel]
engine = "bench"
[log]
level = "warning"
file = "{self.folder}/berth.log"
[engine.bench]
{values}
{more}
[[listener]]
address = "127.0.0.1"
port = {self.port}
""", encoding="utf-8")

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def launch(self):
        command = [str(self.binary), "serve", "--config", str(self.folder / "berth.toml")]
        if self.core is not None:
            command = machine.pinned(self.core, command)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BERTH_")}
        environment["BERTH_ADMIN_PASSWORD"] = PASSWORD
        with open(self.folder / "output.txt", "ab") as output:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output)

    def wait_healthy(self, seconds=60, every=0.02):
        """Until it answers and has read its engine; yields when that was."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"berth ended with {self.process.returncode}: {self.output()}")
            try:
                answer = self.call("GET", "/api/health", token=None)
                if json.loads(answer.body)["lxd_connected"]:
                    return time.monotonic()
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(every)
        raise RuntimeError(f"berth is not healthy: {self.output()}")

    def login(self):
        answer = self.call("POST", "/auth/login", {"username": "admin", "password": PASSWORD}, token=None)
        if answer.status != 200:
            raise RuntimeError(f"login: {answer.status} {answer.body!r}")
        self.token = json.loads(answer.body)["access_token"]

    def make_keys(self, count):
        """API keys that may read; each counts as a caller of its own."""
        keys = []
        for number in range(count):
            answer = self.call("POST", "/auth/keys", {"name": f"bench-{number}", "scope": ["instances:read"]})
            if answer.status not in (200, 201):
                raise RuntimeError(f"key: {answer.status} {answer.body!r}")
            made = json.loads(answer.body)
            keys.append(made.get("key") or made["data"]["key"])
        return keys

    def call(self, method, path, body=None, token=True, timeout=60):
        """One request on a connection of its own; the answer gets `status`, `body` and `seconds`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {}
        if token:
            headers["Authorization"] = "Bearer " + self.token
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        begun = time.monotonic()
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            answer.body = answer.read()
            answer.seconds = time.monotonic() - begun
            return answer
        finally:
            connection.close()

    def metrics(self):
        """name{labels} → value."""
        answer = self.call("GET", "/metrics")
        values = {}
        for line in answer.body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def output(self):
        texts = []
        for name in ("output.txt", "berth.log"):
            file = self.folder / name
            if file.exists():
                texts.append(file.read_text(errors="replace")[-2000:])
        return "\n".join(texts)

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    def __enter__(self):
        try:
            self.launch()
            self.wait_healthy()
            self.login()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
