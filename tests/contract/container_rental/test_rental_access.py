"""What an ACL allows, on every path that reaches a container, and its file."""

import re
import time

import pytest

from berth_daemon import Caller

LINK = re.compile(r"(http://127\.0\.0\.1:\d+)(/container-rental/api/acl/files/acl-\d+\.json\?expires=\d+&signature=[\w-]+)")


@pytest.fixture
def container(admin, new_name):
    name = new_name("c")
    admin.create(name)
    return name


def grant(admin, person, permissions, container=None, word="generate"):
    body = {"user_id": person.user_id, "permissions": permissions}
    if container:
        body["container_name"] = container
    answer = admin.post(f"/api/acl/{word}", body)
    assert answer.status_code == 200, answer.text


def statuses(caller, container):
    """What a caller is answered that looks, stops, starts, changes and runs."""
    at = f"/api/containers/{container}"
    return [caller.get(f"{at}/status").status_code, caller.post(f"{at}/stop").status_code,
            caller.post(f"{at}/start").status_code,
            caller.request("PUT", at, json={"limits": {"memory": 64}}).status_code,
            caller.post(f"{at}/exec", {"command": ["true"]}).status_code, caller.get(f"{at}/logs").status_code]


def test_without_a_grant_a_container_is_not_there(person, container):
    assert statuses(person("user"), container) == [404] * 6


def test_who_may_read_may_do_nothing_else(admin, person, container):
    user = person("user")
    grant(admin, user, ["read"], container)
    assert statuses(user, container) == [200, 403, 403, 403, 403, 200]
    assert list(user.listed()) == [container]


def test_who_may_write_may_run_nothing_inside(admin, person, container):
    user = person("user")
    grant(admin, user, ["write"], container)
    assert statuses(user, container) == [200, 200, 200, 200, 403, 200]


def test_who_may_execute_may_change_nothing(admin, person, container):
    user = person("user")
    grant(admin, user, ["execute"], container)
    assert statuses(user, container) == [200, 403, 403, 403, 200, 200]


def with_scope(caller, scope):
    """The same person through an API key that may do only this."""
    answer = Caller(caller.base.removesuffix("/container-rental"), dict(caller.session.headers)).post(
        "/auth/keys", {"name": " ".join(scope), "scope": scope})
    assert answer.status_code in (200, 201), answer.text
    return Caller(caller.base, {"X-API-Key": answer.json()["key"]})


def test_an_environment_shows_its_values_only_to_who_may_write_and_see_secrets(admin, person, new_name):
    owner, reader, writer, viewer = person("user"), person("user"), person("user"), person("viewer")
    name = new_name("c")
    owner.create(name, environment={"PASSWORD": "hunter2", "MODE": "fast"})
    grant(admin, reader, ["read"], name)
    grant(admin, writer, ["write"], name)
    shown, masked = {"PASSWORD": "hunter2", "MODE": "fast"}, {"PASSWORD": "***", "MODE": "***"}

    def environment(caller):
        answer = caller.get(f"/api/containers/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()["environment"]

    assert environment(owner) == environment(admin) == environment(writer) == shown
    assert environment(reader) == environment(viewer) == masked
    assert environment(with_scope(owner, ["instances:read", "instances:update"])) == masked
    assert environment(with_scope(owner, ["instances:read", "instances:secrets"])) == shown
    assert "hunter2" not in owner.get("/api/containers?detail=true").text


def test_a_masked_value_is_not_taken_for_a_value(person, new_name):
    owner, name = person("user"), new_name("c")
    owner.create(name, environment={"PASSWORD": "hunter2"})
    blind = with_scope(owner, ["instances:read", "instances:update"])
    at = f"/api/containers/{name}"
    seen = blind.get(at).json()["environment"]
    answer = blind.request("PUT", at, json={"environment": {**seen, "MODE": "fast"}})
    assert answer.status_code == 400, answer.text
    assert owner.get(at).json()["environment"] == {"PASSWORD": "hunter2"}
    assert blind.request("PUT", at, json={"environment": {"MODE": "fast"}}).status_code == 200
    assert owner.get(at).json()["environment"] == {"MODE": "fast"}
    assert owner.request("PUT", at, json={"environment": {"MODE": "***"}}).status_code == 200, "it is what it says"


def test_a_grant_for_one_container_shows_no_other(admin, person, container, new_name):
    user = person("user")
    other = new_name("c")
    admin.create(other)
    grant(admin, user, ["read", "write", "execute"], container)
    assert statuses(user, other) == [404] * 6


def test_a_grant_for_all_covers_containers_of_tomorrow(admin, person, new_name):
    user = person("user")
    grant(admin, user, ["read"])
    later = new_name("c")
    admin.create(later)
    assert user.status_of(later) == "running"
    assert later in user.listed()


def test_a_change_counts_at_once(admin, person, container):
    user = person("user")
    grant(admin, user, ["read"], container)
    assert user.post(f"/api/containers/{container}/stop").status_code == 403
    grant(admin, user, ["write"], container, "update")
    assert user.post(f"/api/containers/{container}/stop").status_code == 200
    assert admin.post("/api/acl/revoke", {"user_id": user.user_id}).status_code == 200
    assert statuses(user, container) == [404] * 6
    assert user.listed() == {}


def test_a_viewer_reads_acls_and_changes_none(admin, person, container):
    user, viewer = person("user"), person("viewer")
    grant(admin, user, ["read"], container)
    answer = viewer.get(f"/api/acl/list/{user.user_id}")
    assert [line["container_name"] for line in answer.json()["acl"]] == [container]
    assert viewer.post("/api/acl/revoke", {"user_id": user.user_id}).status_code == 403


def test_a_user_learns_nothing_of_others(admin, person):
    user, other = person("user"), person("user")
    assert user.get(f"/api/acl/list/{user.user_id}").json() == {"user_id": user.user_id, "acl": []}
    for path in (f"/api/acl/list/{other.user_id}", f"/api/acl/logs/{other.user_id}",
                 f"/api/acl/download/{other.name}", "/api/acl/download/no-such-user"):
        assert user.get(path).status_code == 404, path


@pytest.mark.parametrize("body,status", [
    ({"user_id": 10**9, "permissions": ["read"]}, 404),
    ({"permissions": ["read"]}, 400), ({"user_id": "x", "permissions": ["read"]}, 400),
    ({"user_id": 1, "permissions": []}, 400), ({"user_id": 1, "permissions": ["fly"]}, 400),
    ({"user_id": 1, "permissions": "read"}, 400), ({"user_id": 0, "permissions": ["read"]}, 400),
    ({"user_id": 1, "permissions": ["read"], "container_name": "no-such-container"}, 404),
])
def test_a_bad_acl_is_refused(admin, body, status):
    answer = admin.post("/api/acl/generate", body)
    assert answer.status_code == status, answer.text
    assert "error" in answer.json()


def test_the_file_is_read_by_its_link_alone(admin, person, container):
    user = person("user")
    grant(admin, user, ["write"], container)
    link = admin.get(f"/api/acl/download/{user.name}").json()["acl_file"]
    assert LINK.fullmatch(link), link
    base, path = LINK.fullmatch(link).groups()
    nobody = Caller(base)
    answer = nobody.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json()["username"] == user.name
    assert answer.json()["acl"][0]["permissions"] == ["read", "write"]
    later = re.sub(r"expires=\d+", f"expires={int(time.time()) + 9999}", path)
    for forged in (path[:-1], path.replace("acl-", "acl-1"), later):
        answer = nobody.get(forged)
        assert answer.status_code == 403, forged
        assert list(answer.json()) == ["error"]
