"""Who is answered without credentials: programs on this machine where it is configured, nobody else."""

import json
import socket

import pytest

from web_socket import Refused


def test_without_credentials_is_401_where_nothing_else_is_configured(panel):
    answer = panel.anonymous().get("/api/instances")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "需要登录"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_root_health_and_the_description_are_public(panel):
    for path in ("/", "/api/health", "/openapi.json", "/docs", "/docs.js"):
        assert panel.anonymous().get(path).status_code == 200, path


@pytest.mark.parametrize("path", ["/", "/api/health"])
def test_public_routes_answer_also_with_a_credential_that_is_not_valid(panel, path):
    assert panel.anonymous(Authorization="Bearer nonsense").get(path).status_code == 200


@pytest.mark.parametrize("headers", [
    {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YWRtaW46YWRtaW4="}, {"X-API-Key": "bk_nonsense"},
    {"Authorization": "Bearer "}, {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."},
])
def test_a_credential_that_is_not_valid_is_401_also_from_this_machine(open_panel, headers):
    answer = open_panel.anonymous(**headers).get("/api/instances")
    assert answer.status_code == 401
    assert list(answer.json()) == ["detail"]


def test_programs_on_this_machine_are_answered_where_it_is_configured(open_panel):
    assert open_panel.anonymous().get("/api/instances").status_code == 200


def test_programs_on_this_machine_may_change_instances(open_panel):
    answer = open_panel.anonymous().post("/api/instances/inst-00002/stop?force=true")
    assert answer.json() == {"success": True, "message": "实例 inst-00002 停止成功", "data": None}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_every_loopback_name_is_one(open_panel, host):
    for authority in (host, f"{host}:{open_panel.port}"):
        assert open_panel.anonymous(Host=authority).get("/api/instances").status_code == 200, authority


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1",
                                  "evil.example:8000", "[2001:db8::1]:8000", "localhost@evil.example"])
def test_a_name_rebound_to_this_machine_is_refused(open_panel, host):
    assert open_panel.anonymous(Host=host).get("/api/instances").status_code == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "https://localhost.evil.example", "null",
                                    "http://localhost:1", "http://127.0.0.1"])
def test_a_page_of_another_site_is_refused(open_panel, origin):
    assert open_panel.anonymous(Origin=origin).get("/api/instances").status_code == 401
    assert open_panel.anonymous(Origin=origin).post("/api/instances/inst-00001/stop").status_code == 401


def test_a_page_of_the_panel_itself_is_answered(open_panel):
    assert open_panel.anonymous(Origin=open_panel.base).get("/api/instances").status_code == 200


@pytest.mark.parametrize("site,status", [("cross-site", 401), ("same-site", 401), ("same-origin", 200), ("none", 200)])
def test_a_browsers_own_word_on_the_site_counts(open_panel, site, status):
    assert open_panel.anonymous(**{"Sec-Fetch-Site": site}).get("/api/instances").status_code == status


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_came_through_a_proxy_is_not_from_this_machine(open_panel, header):
    assert open_panel.anonymous(**{header: "127.0.0.1"}).get("/api/instances").status_code == 401


def test_without_a_host_nobody_is_answered(open_panel):
    with socket.create_connection(("127.0.0.1", open_panel.port), 10) as stream:
        stream.sendall(b"GET /api/instances HTTP/1.0\r\n\r\n")
        received = stream.recv(65536)
    assert received.split(b" ")[1] in (b"400", b"401")


def test_a_page_of_another_site_cannot_open_the_monitor(open_panel):
    with pytest.raises(Refused) as refused:
        open_panel.anonymous(Origin="http://evil.example").web_socket("/ws/monitor")
    assert refused.value.status == 401


def test_programs_on_this_machine_can_open_the_monitor(open_panel):
    with open_panel.anonymous().web_socket("/ws/monitor") as monitor:
        assert monitor.receive_json()["type"] == "update"


@pytest.mark.parametrize("method,path", [("GET", "/auth/me"), ("GET", "/auth/keys"), ("POST", "/auth/logout")])
def test_what_concerns_an_account_needs_one(open_panel, method, path):
    assert open_panel.anonymous().request(method, path).status_code == 401


def test_programs_on_this_machine_see_passwords_that_the_document_shows(open_panel):
    detail = open_panel.anonymous().get("/api/instances/inst-00001").json()
    assert detail["root_password"] == "secret1"
    assert "secret1" in json.dumps(detail["info"])
