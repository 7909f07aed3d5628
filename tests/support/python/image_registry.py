"""A real registry of images (Debian's docker-registry) on 127.0.0.1 that wants a name and a password."""

import json
import base64
import pathlib
import shutil
import subprocess
import tempfile

import bcrypt
import requests

from berth_daemon import free_port
from waiting import wait_until

CONFIGURATION = """version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{port}", secret: tests}}
auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}
"""


class ImageRegistry:
    """Runs from its construction to `end`. Docker takes one on the loopback address without TLS."""

    def __init__(self, username="keeper", password="open \"sesame\" 芝麻"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="registry-"))
        self.address = f"127.0.0.1:{free_port()}"
        self.set_password(username, password)
        file = self.folder / "config.yml"
        file.write_text(CONFIGURATION.format(folder=self.folder, port=self.address.split(":")[1]), encoding="utf-8")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                ["docker-registry", "serve", str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self.answers, 20, lambda: (self.folder / "log").read_text())
        except BaseException:
            self.end()
            raise

    def answers(self):
        """Whether it lets us in, and nobody else."""
        try:
            return (requests.get(f"http://{self.address}/v2/", timeout=5).status_code == 401 and
                    requests.get(f"http://{self.address}/v2/", timeout=5, auth=(
                        self.username.encode(), self.password.encode())).status_code == 200)
        except requests.exceptions.ConnectionError:
            return False

    def set_password(self, username, password):
        """From now on this one counts and no other."""
        self.username, self.password = username, password
        fresh = self.folder / "htpasswd.new"
        fresh.write_bytes(username.encode() + b":" + bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)) + b"\n")
        fresh.replace(self.folder / "htpasswd")

    def push(self, dockers, number, image, name):
        """Has an engine push an image of its own as `name`; yields the whole reference. The engine keeps only its own."""
        reference = f"{self.address}/{name}"
        repository, tag = reference.rsplit(":", 1)
        dockers.api(number, f"/images/{image}/tag?repo={repository}&tag={tag}", "POST")
        login = base64.urlsafe_b64encode(json.dumps(
            {"username": self.username, "password": self.password, "serveraddress": self.address}).encode()).decode()
        told = subprocess.run(
            ["curl", "-sf", "-X", "POST", "-H", f"X-Registry-Auth: {login}", "--unix-socket",
             str(dockers.socket(number)), f"http://docker/images/{repository}/push?tag={tag}"],
            capture_output=True, text=True, check=True, timeout=60).stdout
        assert "errorDetail" not in told, told
        dockers.api(number, f"/images/{reference}", "DELETE")
        return reference

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
