"""A server on a unix socket that pretends to be LXD and answers wrongly in chosen ways."""

import json
import pathlib
import socket
import tempfile
import threading

API = {
    "type": "sync", "status": "Success", "status_code": 200,
    "metadata": {"api_version": "1.0", "auth": "trusted", "api_extensions": ["instances", "container_full"],
                 "environment": {"server": "lxd", "server_version": "5.0.2", "kernel_architecture": "x86_64"}},
}
EMPTY_LIST = {"type": "sync", "status": "Success", "status_code": 200, "metadata": []}


def http(body, status="200 OK", headers=()):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


GOOD = {"list": http(EMPTY_LIST), "info": http(API)}


class FakeLxd:
    """Answers every request with what `answers` holds: bytes to be sent before the connection ends.

    `answers` maps "list" (instances) and "info" (the server) to bytes, or to None to say nothing and hold on.
    """

    def __init__(self, answers=None):
        self.folder = tempfile.TemporaryDirectory(prefix="fl")
        self.path = pathlib.Path(self.folder.name) / "s"
        self.answers = dict(GOOD if answers is None else answers)
        self.requests = 0
        self._open = set()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        self._open.add(connection)
        try:
            self._answer(connection)
        except OSError:
            pass  # the daemon gave up on it
        finally:
            self._open.discard(connection)
            connection.close()

    def _answer(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            block = connection.recv(65536)
            if not block:
                return
            head += block
        self.requests += 1
        path = head.split(b" ")[1].decode()
        if path.startswith("/1.0/events"):
            connection.sendall(http({"type": "error", "error": "no events", "error_code": 400}, "400 Bad Request"))
            return
        answer = self.answers["info" if path.split("?")[0] == "/1.0" else "list"]
        if answer is None:
            connection.recv(1)  # until the daemon gives up
            return
        connection.sendall(answer)

    def end(self):
        self._socket.close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.folder.cleanup()
