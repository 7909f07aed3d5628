"""Private Docker engines with real containers, in a folder of their own."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from lxd_server import REPOSITORY

IMAGE = "berth-busybox"
PARTS = "output packages build processes docker"


class DockerServers:
    """Starts `count` of them on construction; `end` removes everything that they made."""

    def __init__(self, count=2):
        # A unix socket's path is short, and Docker puts sockets deep below its folder.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dk", dir="/tmp"))
        self.count = count
        try:
            for number in range(1, count + 1):
                self.start(number)
        except BaseException:
            self.end()
            raise

    def _shell(self, command):
        script = (f"set -euo pipefail; for part in {PARTS}; do source scripts/lib/$part.sh; done; "
                  f"mkdir -p \"$1/run\" \"$1/log\"; {command}")
        return subprocess.run(["bash", "-c", script, "docker", str(self.folder)], cwd=REPOSITORY, check=False,
                              capture_output=True, text=True, timeout=120)

    def start(self, number):
        started = self._shell(f'docker_start "$1" {number}')
        assert started.returncode == 0, f"Docker {number} does not start: {started.stderr}"

    def socket(self, number):
        return self.folder / f"docker{number}" / "docker.sock"

    def url(self, number):
        return f"unix://{self.socket(number)}"

    def api(self, number, path, method="GET"):
        """Asks an engine behind Berth's back."""
        answer = subprocess.run(
            ["curl", "-sf", "-X", method, "--unix-socket", str(self.socket(number)), "http://docker" + path],
            capture_output=True, text=True, check=True, timeout=60)
        return json.loads(answer.stdout) if answer.stdout else None

    def containers(self, number):
        """Every container of an engine by name, with its state."""
        return {one["Names"][0].lstrip("/"): one["State"] for one in self.api(number, "/containers/json?all=1")}

    def pid(self, number):
        return int((self.folder / "run" / f"docker{number}.pid").read_text().split()[0])

    def kill(self, number):
        """Ends the engine at once; its containers run on under their shims."""
        os.kill(self.pid(number), signal.SIGKILL)

    def end_containers(self, number):
        """Ends every container of an engine whose daemon is dead, as the end of its machine would."""
        ended = self._shell(f'for shim in $(docker_shims "$(docker_directory "$1" {number})"); do '
                            '{ tr " " "\\n" <"/proc/$shim/task/$shim/children" || true; } 2>/dev/null | '
                            'while read -r guest; do kill -KILL "$guest" 2>/dev/null || true; done; '
                            'kill -KILL "$shim" 2>/dev/null || true; done')
        assert ended.returncode == 0, ended.stderr

    def end(self):
        self._shell('docker_stop "$1"')
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
