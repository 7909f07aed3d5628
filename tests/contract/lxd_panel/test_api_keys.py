"""API keys: for machines, with a scope and an expiry, never more than their owner."""

import datetime

import pytest

from berth_daemon import PASSWORD, Caller
from shapes import KEY, assert_shape
from waiting import wait_until


@pytest.fixture
def owner(panel):
    return panel.person("manager")


def by_key(panel, key, header="X-API-Key"):
    return Caller(panel.base, {header: key if header == "X-API-Key" else "Bearer " + key})


def in_seconds(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def make_key(owner, **fields):
    answer = owner.post("/auth/keys", {"name": "script", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_key_is_shown_once_when_it_is_made(owner):
    made = make_key(owner)
    assert_shape(made, KEY)
    assert made["key"].startswith(made["prefix"])
    listed = owner.get("/auth/keys").json()
    assert_shape(listed, [KEY])
    assert [(one["id"], one["key"]) for one in listed] == [(made["id"], None)]


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_a_key_is_taken_from_either_header(panel, owner, header):
    caller = by_key(panel, make_key(owner)["key"], header)
    assert caller.get("/api/instances").status_code == 200
    assert caller.get("/auth/me").json()["username"] == owner.name


def test_a_key_without_a_scope_may_what_its_owner_may_and_no_more(panel, owner):
    caller = by_key(panel, make_key(owner, scope=["*"])["key"])
    assert caller.get("/metrics").status_code == 200
    viewer = panel.person("viewer")
    weak = by_key(panel, make_key(viewer, scope=["*"])["key"])
    assert weak.get("/api/instances").status_code == 200
    assert weak.post("/api/instances/inst-00001/start").status_code == 403


def test_a_scope_narrows_a_key(panel, owner):
    caller = by_key(panel, make_key(owner, scope=["instances:read"])["key"])
    assert caller.get("/api/instances").status_code == 200
    for answer in (caller.get("/api/host/info"), caller.post("/api/instances/inst-00001/start"),
                   caller.get("/metrics"), caller.delete("/api/instances/inst-00001")):
        assert answer.status_code == 403
        assert list(answer.json()) == ["detail"]


def test_a_scope_may_name_an_area(panel, owner):
    caller = by_key(panel, make_key(owner, scope=["instances:*"])["key"])
    assert caller.post("/api/instances/inst-00001/start").status_code == 200
    assert caller.get("/api/host/info").status_code == 403


def test_a_key_without_the_right_to_secrets_does_not_see_them(panel, owner):
    caller = by_key(panel, make_key(owner, scope=["instances:read"])["key"])
    detail = caller.get("/api/instances/inst-00001").json()
    assert detail["root_password"] is None
    assert "secret1" not in caller.get("/api/instances").text + str(detail)


@pytest.mark.parametrize("scope", [["nonsense"], ["instances:read", "a b"], ["Instances:Read"]])
def test_a_scope_that_is_no_permission_is_422(owner, scope):
    answer = owner.post("/auth/keys", {"name": "script", "scope": scope})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["scope"]


def test_two_keys_of_one_name_are_refused(owner):
    make_key(owner)
    assert owner.post("/auth/keys", {"name": "script"}).status_code == 409


def test_a_key_ends_at_its_expiry(panel, owner):
    made = make_key(owner, expires_at=in_seconds(3))
    caller = by_key(panel, made["key"])
    assert caller.get("/api/instances").status_code == 200
    wait_until(lambda: caller.get("/api/instances").status_code == 401, 10, "the key expires")


@pytest.mark.parametrize("moment", ["yesterday", "2020-01-01T00:00:00Z", ""])
def test_an_expiry_that_is_no_time_to_come_is_422(owner, moment):
    answer = owner.post("/auth/keys", {"name": "script", "expires_at": moment})
    assert answer.status_code == 422, answer.text


def test_a_deleted_key_is_out_at_once(panel, owner):
    made = make_key(owner)
    caller = by_key(panel, made["key"])
    assert caller.get("/api/instances").status_code == 200
    assert owner.delete(f"/auth/keys/{made['id']}").json() == {"success": True, "message": "密钥已删除"}
    assert caller.get("/api/instances").status_code == 401
    assert owner.delete(f"/auth/keys/{made['id']}").status_code == 404


def test_somebody_elses_key_is_404(panel, owner):
    made = make_key(owner)
    assert panel.person("admin").delete(f"/auth/keys/{made['id']}").status_code == 404
    assert by_key(panel, made["key"]).get("/api/instances").status_code == 200


@pytest.mark.parametrize("method,path,body", [
    ("POST", "/auth/keys", {"name": "wider"}),
    ("DELETE", "/auth/keys/x", None),
    ("POST", "/auth/password", {"old_password": PASSWORD, "new_password": "another-Password-8"}),
    ("POST", "/auth/totp", None),
    ("DELETE", "/auth/totp", None),
    ("POST", "/auth/logout", None),
])
def test_a_key_cannot_change_the_account_or_make_keys(panel, owner, method, path, body):
    answer = by_key(panel, make_key(owner)["key"]).request(method, path, json=body)
    assert answer.status_code == 403


def test_a_key_made_on_the_command_line_works(panel, owner):
    key = panel.cli("key", "create", owner.name, "cli", "--scope", "instances:read").stdout.strip()
    assert by_key(panel, key).get("/api/instances").status_code == 200


def test_a_key_opens_the_monitor(panel, owner):
    with by_key(panel, make_key(owner, scope=["instances:read"])["key"]).web_socket("/ws/monitor") as monitor:
        assert monitor.receive_json()["type"] == "update"


def test_a_key_goes_with_its_owner(panel, owner):
    caller = by_key(panel, make_key(owner)["key"])
    assert caller.get("/api/instances").status_code == 200
    panel.cli("user", "disable", owner.name)
    wait_until(lambda: caller.get("/api/instances").status_code == 401, 5, "the key is out")
