"""Private Docker engines for a case, started as the tests start theirs."""

import json
import pathlib
import subprocess
import sys

from harness import machine

sys.path.insert(0, str(machine.REPOSITORY / "tests" / "support" / "python"))

from docker_servers import IMAGE, DockerServers  # noqa: E402
from server_agents import Agent  # noqa: E402,F401  pylint: disable=unused-import


class Dockers(DockerServers):
    image = IMAGE

    def cpu_seconds(self):
        """Processor time of all engines and their helpers, each of which is told a file of the folder."""
        used = 0
        for words in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                ours = str(self.folder).encode() in words.read_bytes()
                used += sum(machine.cpu_seconds_by_thread(int(words.parent.name)).values()) if ours else 0
            except OSError:
                continue  # ended meanwhile
        return used

    def remove_all(self, number):
        names = list(self.containers(number))
        for name in names:
            self.api(number, f"/containers/{name}?force=true", "DELETE")
        left = json.loads(subprocess.run(
            ["curl", "-sf", "--unix-socket", str(self.socket(number)), "http://docker/containers/json?all=1"],
            capture_output=True, check=True).stdout)
        if left:
            raise RuntimeError(f"{len(left)} containers are left")
