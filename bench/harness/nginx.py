"""A private nginx with one worker, set up as well as it goes for what it serves here."""

import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

from harness import machine

CONFIGURATION = """
worker_processes 1;
daemon off;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile {sendfile};
  tcp_nopush {sendfile};
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  open_file_cache {cache};
  default_type application/json;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/files;
    {locations}
  }}
}}
"""


class Nginx:
    """Starts on entering, ends on leaving. `files` maps names to bytes; `locations` is text of its configuration."""

    def __init__(self, files=None, locations="", sendfile=True, cache=True, core=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nginx-bench-"))
        self.folder.chmod(0o755)
        self.port = machine.free_port()
        self.core = core
        self.variant = f"sendfile {'on' if sendfile else 'off'}, open_file_cache {'on' if cache else 'off'}"
        for name, content in (files or {}).items():
            file = self.folder / "files" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (self.folder / "nginx.conf").write_text(CONFIGURATION.format(
            folder=self.folder, port=self.port, locations=locations, sendfile="on" if sendfile else "off",
            cache="max=16 inactive=10m" if cache else "off"), encoding="utf-8")
        self.process = None

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        command = ["nginx", "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c",
                   str(self.folder / "nginx.conf")]
        if self.core is not None:
            command = machine.pinned(self.core, command)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self):
        end = time.monotonic() + 10
        while True:
            try:
                urllib.request.urlopen(self.base + "/", timeout=2).close()
                return
            except urllib.error.HTTPError:
                return  # it answers
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    errors = self.folder / "error.log"
                    raise RuntimeError("nginx does not start: " +
                                       (errors.read_text() if errors.exists() else "")) from None
            time.sleep(0.02)

    def __exit__(self, *_):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
