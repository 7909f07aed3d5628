"""A private OpenSSH server on a port of 127.0.0.1, in a folder of its own."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from berth_daemon import free_port
from waiting import wait_until


class SshServer:
    """Lets one key in, as root; `end` removes everything that it made."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-ssh-"))
        self.port = free_port()
        self.process = None
        for name in ("host", "client", "strange"):
            self.make_key(name)
        # Where sshd locks itself in before a login; it insists on this very place.
        os.makedirs("/run/sshd", exist_ok=True)
        (self.folder / "settings").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/client.pub\nPidFile none\nUsePAM no\nStrictModes no\n"
            "AuthenticationMethods publickey\nPermitRootLogin prohibit-password\n", encoding="utf-8")
        self.start()

    def make_key(self, name, passphrase=""):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", self.folder / name],
                       check=True, timeout=20)
        return self.key(name)

    def key(self, name="client"):
        return (self.folder / name).read_text(encoding="utf-8")

    def host_key(self):
        """As a person gets it."""
        scanned = subprocess.run(["ssh-keyscan", "-p", str(self.port), "127.0.0.1"], capture_output=True, text=True,
                                 check=True, timeout=20)
        return scanned.stdout

    def url(self, path):
        return f"ssh://root@127.0.0.1:{self.port}{path}"

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                ["/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "settings"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        wait_until(self._answers, 10, lambda: (self.folder / "log").read_text(encoding="utf-8"))

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _connections(self, pid):
        """The processes of its connections."""
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            yield int(child)
            yield from self._connections(child)

    def connections(self):
        try:
            return list(self._connections(self.process.pid))
        except FileNotFoundError:  # one of them has just ended
            return self.connections()

    def kill(self):
        """Ends it and its connections at once."""
        for pid in [*self.connections(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)
        self.process = None

    def end(self):
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
