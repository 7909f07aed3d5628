"""What stands on servers beside their Docker: the agent, the network between them and Berth, and a witness."""

import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import threading
import time

from waiting import wait_until

ID = re.compile(r"[0-9a-f]{64}")


class Agent:
    """`berth agent` of one server, which can be ended, killed and started again."""

    def __init__(self, program, name, token, berth, dockers, number, folder):
        self.name = name
        self.folder = pathlib.Path(folder)
        self.token_file = self.folder / f"{name}.token"
        self.token_file.write_text(token + "\n")
        self.token_file.chmod(0o600)
        self.log_file = self.folder / f"{name}.log"
        self.arguments = [str(program), "agent", name, "--berth", berth, "--token-file", str(self.token_file),
                          "--engine", dockers.url(number),
                          "--containers", str(dockers.folder / f"docker{number}" / "data" / "containers"),
                          "--state", str(self.folder / f"{name}-state")]
        self.process = None

    def start(self):
        """Returns once the engine may be started."""
        assert self.process is None
        begun = self._starts()
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self._starts() > begun, 20, self.log)
        return self

    def _starts(self):
        return self.log_file.read_text(errors="replace").count("is the agent of") if self.log_file.exists() else 0

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def stop(self, seconds=40):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        assert code == 0, f"the agent ended with {code}: {self.log()}"

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def log(self):
        return self.log_file.read_text(errors="replace")[-3000:] if self.log_file.exists() else ""


class Relay:
    """A network that can be cut: passes bytes between a port of its own and a socket, or swallows them."""

    def __init__(self, target):
        """`target` is a path of a unix socket or a port."""
        self.target = target
        self.is_cut = False
        self.ended = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """From now on nothing arrives any more, and nobody is told."""
        self.is_cut = True

    def heal(self):
        self.is_cut = False

    def end(self):
        self.ended = True
        self.listener.close()

    def _accept(self):
        while not self.ended:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _connect(self):
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self.target))
        return far

    def _serve(self, near):
        """Whoever is cut once stays cut: what was swallowed is missing from the stream."""
        far = None
        try:
            with near:
                if self._swallow(near):
                    return
                far = self._connect()
                with far:
                    while True:
                        ready, _, _ = select.select([near, far], [], [], 0.1)
                        if self._swallow(near):
                            return
                        for side in ready:
                            data = side.recv(65536)
                            if not data:
                                return
                            (far if side is near else near).sendall(data)
        except OSError:
            return

    def _swallow(self, near):
        if not self.is_cut:
            return False
        while self.is_cut and not self.ended:
            time.sleep(0.05)
        # A reset, so that both ends notice once the network is back.
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        return True


class Witness:
    """Looks at processes, not at anybody's books: which containers have any, by name, on which Docker."""

    def __init__(self, dockers):
        self.dockers = dockers
        self.names = {}
        self.twice = {}
        self.looks = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _name_of(self, number, identity):
        """From the engine's own files, so that a dead engine does not matter."""
        file = self.dockers.folder / f"docker{number}" / "data" / "containers" / identity / "config.v2.json"
        try:
            return json.loads(file.read_text())["Name"].lstrip("/")
        except (OSError, ValueError, KeyError):
            return None

    def running(self):
        """name → the numbers of the Dockers on which it has processes that execute something of their own."""
        homes = {}
        for number in range(1, self.dockers.count + 1):
            folder = self.dockers.folder / f"docker{number}" / "data" / "containers"
            for identity in os.listdir(folder) if folder.exists() else []:
                homes[identity] = number
        found = {}
        for process in os.listdir("/proc"):
            if not process.isdigit():
                continue
            try:
                with open(f"/proc/{process}/cgroup", encoding="ascii") as groups:
                    identities = set(ID.findall(groups.read()))
                with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stat:
                    state = stat.read().rpartition(")")[2].split()[0]
                program = os.readlink(f"/proc/{process}/exe")
            except OSError:
                continue
            # What prepares a container has not begun to be it.
            if state in "ZX" or program.endswith("runc"):
                continue
            for identity in identities & homes.keys():
                name = self.names.get(identity) or self._name_of(homes[identity], identity)
                if name is not None:
                    found.setdefault(name, set()).add(homes[identity])
        return found

    def _watch(self):
        while not self.ended.is_set():
            for name, numbers in self.running().items():
                if len(numbers) > 1:
                    self.twice.setdefault(name, []).append(time.monotonic())
            self.looks += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(30)
