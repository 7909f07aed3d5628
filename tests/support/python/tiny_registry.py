"""A registry of images on 127.0.0.1 that wants a name and a password, over plain HTTP, which Docker allows there."""

import base64
import hashlib
import http.server
import json
import pathlib
import subprocess
import tempfile
import threading

from lxd_server import REPOSITORY

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class TinyRegistry:
    """Has one small image, under every name below "team" and every tag but "none"."""

    def __init__(self, username="keeper", password="open \"sesame\" 芝麻"):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder) / "root.tar"
            subprocess.run([REPOSITORY / "scripts/lib/make-busybox-image", "--root", root], check=True, timeout=60)
            layer = root.read_bytes()
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
            "config": {"Cmd": ["/sbin/idle"], "Env": ["PATH=/bin:/sbin"]},
            "history": [{"created_by": "tests"}]}).encode()
        self.blobs = {digest_of(blob): blob for blob in (layer, config)}
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config),
                       "digest": digest_of(config)},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(layer),
                        "digest": digest_of(layer)}]}).encode()
        self.set_password(username, password)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def set_password(self, username, password):
        """From now on this one counts and no other."""
        self.username, self.password = username, password

    def lets_in(self, authorization):
        login = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return authorization == f"Basic {login}"

    def content_of(self, path):
        """What stands at a path below /v2/, with its type; nothing if there is none."""
        if path == "":
            return b"{}", "application/json"
        name, kind, what = (path.rsplit("/", 2) + ["", ""])[:3]
        if not name.startswith("team/"):
            return None
        if kind == "manifests" and what != "none":
            return self.manifest, MANIFEST
        if kind == "blobs" and what in self.blobs:
            return self.blobs[what], "application/octet-stream"
        return None

    def _handler(registry):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # pylint: disable=invalid-name
                if not registry.lets_in(self.headers.get("Authorization")):
                    refusal = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
                    self.answer(401, json.dumps(refusal).encode(), "application/json")
                    return
                found = registry.content_of(self.path.removeprefix("/v2/"))
                missing = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode()
                self.answer(404 if found is None else 200, *(found or (missing, "application/json")))

            do_HEAD = do_GET

            def answer(self, status, content, content_type):
                self.send_response(status)
                self.send_header("WWW-Authenticate", 'Basic realm="tests"')
                self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
                self.send_header("Docker-Content-Digest", digest_of(content))
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass

        return Handler

    def end(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
