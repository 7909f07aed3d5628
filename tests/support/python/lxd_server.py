"""A private LXD with real containers, in a folder of its own."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from waiting import wait_until

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
IMAGE = "busybox"


def _mounts_below(folder):
    """The mount points below a folder, the deepest first."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        points = [line.split()[4] for line in table]
    return sorted((p for p in points if p == folder or p.startswith(folder + "/")), key=len, reverse=True)


class LxdServer:
    """Starts LXD on construction; `end` removes everything that it made."""

    def __init__(self):
        # A unix socket's path is short, and LXD puts sockets deep below its folder.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lx", dir="/tmp"))
        self.directory = self.folder / "d"
        self.directory.mkdir(mode=0o711)
        self.folder.chmod(0o711)
        self.socket = self.directory / "unix.socket"
        self.environment = {
            **os.environ,
            "LXD_DIR": str(self.directory),
            "LXD_CONF": str(self.folder / "client"),
            "LC_ALL": "C.UTF-8",
        }
        self.log = open(self.folder / "lxd.log", "ab")  # pylint: disable=consider-using-with
        self.process = None
        try:
            self.start()
            self._prepare()
        except BaseException:
            self.end()
            raise

    def start(self):
        assert self.process is None
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["lxd", "--group", "root"], env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, start_new_session=True)
        waited = subprocess.run(["lxd", "waitready", "--timeout", "60"], env=self.environment, capture_output=True,
                                text=True, check=False)
        assert waited.returncode == 0, f"LXD does not start: {waited.stderr}\n{self.log_tail()}"

    def _prepare(self):
        self.lxc("storage", "create", "default", "dir")
        self.lxc("profile", "device", "add", "default", "root", "disk", "path=/", "pool=default")
        image = self.folder / "image.tar.gz"
        subprocess.run([REPOSITORY / "scripts/lib/make-busybox-image", image], check=True, capture_output=True)
        self.lxc("image", "import", str(image), "--alias", IMAGE)

    def log_tail(self):
        self.log.flush()
        return (self.folder / "lxd.log").read_text(errors="replace")[-2000:]

    # What a person does with `lxc`.

    def lxc(self, *arguments, check=True, timeout=90):
        done = subprocess.run(["lxc", "--force-local", *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"lxc {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def query(self, path):
        return json.loads(self.lxc("query", path))

    def launch(self, name, description="", **config):
        self.create(name, description, **config)
        self.lxc("start", name)

    def create(self, name, description="", **config):
        options = [f"--config={key.replace('_', '.')}={value}" for key, value in config.items()]
        self.lxc("init", IMAGE, name, *options)
        if description:
            self.lxc("query", "-X", "PATCH", "-d", json.dumps({"description": description}), f"/1.0/instances/{name}")

    def status(self, name):
        """LXD's own word, or None if there is no such instance."""
        for instance in self.query("/1.0/instances?recursion=1"):
            if instance["name"] == name:
                return instance["status"]
        return None

    def names(self):
        return {instance["name"] for instance in self.query("/1.0/instances?recursion=1")}

    def remove_all(self):
        for name in self.names():
            self.lxc("delete", "--force", name, check=False)

    def monitor_process(self, name):
        """The `[lxc monitor]` process of a running container."""
        wanted = f"[lxc monitor] {self.directory}/containers {name}"
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if line == wanted:
                return int(entry.name)
        raise AssertionError(f"{name} has no monitor")

    # What goes wrong with LXD.

    def hang(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self):
        """Ends the daemon; its containers go on."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.resume()
            try:
                self.remove_all()
            except (AssertionError, subprocess.TimeoutExpired):
                pass  # what is left of the containers ends with their mounts below
        self.stop()
        self.log.close()
        for point in _mounts_below(str(self.folder)):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
        wait_until(lambda: not _mounts_below(str(self.folder)), 10, "LXD's mounts are gone")
        shutil.rmtree(self.folder, ignore_errors=True)
