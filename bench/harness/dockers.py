"""Private Docker engines for a case, started as the tests start theirs."""

import json
import subprocess
import sys

from harness import machine

sys.path.insert(0, str(machine.REPOSITORY / "tests" / "support" / "python"))

from docker_servers import IMAGE, DockerServers  # noqa: E402
from server_agents import Agent  # noqa: E402,F401  pylint: disable=unused-import


class Dockers(DockerServers):
    image = IMAGE

    def remove_all(self, number):
        names = list(self.containers(number))
        for name in names:
            self.api(number, f"/containers/{name}?force=true", "DELETE")
        left = json.loads(subprocess.run(
            ["curl", "-sf", "--unix-socket", str(self.socket(number)), "http://docker/containers/json?all=1"],
            capture_output=True, check=True).stdout)
        if left:
            raise RuntimeError(f"{len(left)} containers are left")
