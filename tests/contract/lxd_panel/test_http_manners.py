"""What every answer owes to HTTP: HEAD, OPTIONS, ETag, compression, languages, request ids, mounts."""

import gzip
import json
import socket

import pytest

READS = ["/", "/api/health", "/api/host/info", "/api/instances", "/api/instances/inst-00001", "/openapi.json", "/docs"]


@pytest.mark.parametrize("path", READS)
def test_head_answers_as_get_without_a_body(admin, path):
    got = admin.get(path, headers={"Accept-Encoding": "identity"})
    head = admin.request("HEAD", path, headers={"Accept-Encoding": "identity"})
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0


def test_head_of_what_is_missing_is_404_without_a_body(admin):
    head = admin.request("HEAD", "/api/instances/none")
    assert head.status_code == 404 and head.content == b""


@pytest.mark.parametrize("path,allowed", [
    ("/api/instances", {"GET", "HEAD", "POST", "OPTIONS"}),
    ("/api/instances/x", {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}),
    ("/api/instances/x/start", {"POST", "OPTIONS"}),
])
def test_options_names_the_methods_of_a_path(admin, path, allowed):
    answer = admin.request("OPTIONS", path)
    assert answer.status_code == 204
    assert {word.strip() for word in answer.headers["Allow"].split(",")} == allowed


def test_options_of_an_unknown_path_is_404(admin):
    assert admin.request("OPTIONS", "/nothing").status_code == 404


def test_the_list_carries_an_etag_and_is_not_sent_again_while_it_stands(admin):
    first = admin.get("/api/instances")
    tag = first.headers["ETag"]
    assert tag.startswith('"') or tag.startswith('W/"')
    again = admin.get("/api/instances", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["ETag"] == tag


@pytest.mark.parametrize("header", ["*", '"other", {tag}', "W/{tag}"])
def test_if_none_match_takes_every_form(admin, header):
    tag = admin.get("/api/instances").headers["ETag"].removeprefix("W/")
    answer = admin.get("/api/instances", headers={"If-None-Match": header.format(tag=tag)})
    assert answer.status_code == 304


def test_a_change_gives_the_list_another_etag(admin, instance):
    before = admin.get("/api/instances").headers["ETag"]
    admin.post(f"/api/instances/{instance}/stop?force=true")
    answer = admin.get("/api/instances", headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != before


def test_viewers_with_and_without_secrets_never_share_an_etag(admin, people):
    assert admin.get("/api/instances").headers["ETag"] != people["viewer"].get("/api/instances").headers["ETag"]


def test_a_large_answer_is_compressed_for_who_takes_gzip(admin):
    plain = admin.get("/api/instances", headers={"Accept-Encoding": "identity"})
    packed = admin.get("/api/instances", headers={"Accept-Encoding": "gzip"}, stream=True)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "accept-encoding" in packed.headers["Vary"].lower()
    raw = packed.raw.read(decode_content=False)
    assert len(raw) < len(plain.content)
    assert gzip.decompress(raw) == plain.content


def test_a_small_answer_is_not_compressed(admin):
    assert "Content-Encoding" not in admin.get("/api/health", headers={"Accept-Encoding": "gzip"}).headers


def test_gzip_with_weight_zero_is_a_refusal(admin):
    answer = admin.get("/api/instances", headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "Content-Encoding" not in answer.headers


def test_every_answer_has_a_request_id_of_its_own(admin):
    ids = {admin.get(path).headers["X-Request-Id"] for path in ["/", "/nothing", "/api/instances", "/api/instances/x"]}
    assert len(ids) == 4 and all(ids)


@pytest.mark.parametrize("language,text", [
    (None, "实例 none 不存在"),
    ("zh", "实例 none 不存在"),
    ("zh-CN,zh;q=0.9,en;q=0.8", "实例 none 不存在"),
    ("en", "Instance none does not exist"),
    ("en-US,en;q=0.9", "Instance none does not exist"),
    ("fr", "实例 none 不存在"),
    ("zh;q=0.1, en;q=0.9", "Instance none does not exist"),
])
def test_accept_language_turns_messages(admin, language, text):
    headers = {"Accept-Language": language} if language else {}
    assert admin.get("/api/instances/none", headers=headers).json() == {"detail": text}


def test_accept_language_turns_the_messages_of_changes(admin, instance):
    english = {"Accept-Language": "en"}
    answers = [admin.post(f"/api/instances/{instance}/{word}", headers=english).json()["message"]
               for word in ("stop", "start", "restart")]
    assert answers == [f"Instance {instance} {word}" for word in ("stopped", "started", "restarted")]


def test_json_is_utf8_and_says_so(admin):
    answer = admin.get("/")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "LXD管理面板API".encode() in answer.content


def test_a_mount_under_the_contracts_own_name_serves_the_same(admin):
    assert admin.get("/lxd-panel/api/instances").json() == admin.get("/api/instances").json()
    assert admin.get("/lxd-panel/api/instances/none").json() == {"detail": "实例 none 不存在"}
    assert admin.get("/lxd-panel/api/health").json()["status"] == "healthy"


def test_browsers_are_told_not_to_guess_or_frame(admin):
    headers = admin.get("/docs").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors" in headers.get("Content-Security-Policy", "") or "X-Frame-Options" in headers


def test_no_other_site_is_allowed_by_default(admin):
    answer = admin.get("/api/instances", headers={"Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_empty_query_field_list_is_the_whole_list(admin):
    assert len(admin.get("/api/instances?").json()) == len(admin.get("/api/instances").json())


def _raw(panel, text):
    """Sends bytes as they are, and yields everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", panel.port), 10) as stream:
        stream.sendall(text)
        received = b""
        while block := stream.recv(65536):
            received += block
    return received


def test_pipelined_requests_are_answered_in_order(panel):
    text = (b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
            b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    received = _raw(panel, text)
    assert received.count(b"HTTP/1.1 ") == 3
    assert received.index(b"lxd_connected") < received.index(b"detail") < received.index(b"timestamp")


@pytest.mark.parametrize("text", [
    b"GARBAGE\r\n\r\n",
    b"GET /api/health HTTP/1.1\r\n\r\n",  # no Host
    b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /api/instances/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /api/instances/%ff%fe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
])
def test_what_is_no_proper_request_is_400_in_the_envelope(panel, text):
    received = _raw(panel, text)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), received
    assert list(json.loads(body)) == ["detail"]


def test_a_header_beyond_the_limit_is_431(panel):
    received = _raw(panel, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"a" * 60000 + b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 431 ")
