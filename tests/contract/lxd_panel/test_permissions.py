"""Every route against every role, from the permission that the route itself declares."""

import pytest

from berth_daemon import PASSWORD

PUBLIC, SIGNED_IN = "public", "signed-in"

# What each route asks for. A route that is new or asks for something else has to be written down here.
ROUTES = {
    ("GET", "/"): PUBLIC,
    ("GET", "/api/health"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
    ("GET", "/docs.js"): PUBLIC,
    ("POST", "/auth/login"): PUBLIC,
    ("POST", "/auth/refresh"): PUBLIC,
    ("GET", "/auth/me"): SIGNED_IN,
    ("POST", "/auth/password"): SIGNED_IN,
    ("POST", "/auth/totp"): SIGNED_IN,
    ("POST", "/auth/totp/confirm"): SIGNED_IN,
    ("DELETE", "/auth/totp"): SIGNED_IN,
    ("GET", "/auth/keys"): SIGNED_IN,
    ("POST", "/auth/keys"): SIGNED_IN,
    ("DELETE", "/auth/keys/{id}"): SIGNED_IN,
    ("POST", "/auth/logout"): SIGNED_IN,
    ("GET", "/api/host/info"): "host:read",
    ("GET", "/api/instances"): "instances:read",
    ("GET", "/api/instances/{name}"): "instances:read",
    ("GET", "/api/instances/{name}/resources"): "instances:read",
    ("GET", "/api/instances/{name}/snapshots"): "instances:read",
    ("GET", "/ws/monitor"): "instances:read",
    ("POST", "/api/instances"): "instances:create",
    ("POST", "/api/instances/{name}/start"): "instances:start",
    ("POST", "/api/instances/{name}/stop"): "instances:stop",
    ("POST", "/api/instances/{name}/restart"): "instances:stop",
    ("POST", "/api/instances/actions"): "instances:stop",
    ("PATCH", "/api/instances/{name}"): "instances:update",
    ("POST", "/api/instances/{name}/rename"): "instances:update",
    ("POST", "/api/instances/{name}/snapshots"): "instances:update",
    ("POST", "/api/instances/{name}/snapshots/{snapshot}/restore"): "instances:update",
    ("DELETE", "/api/instances/{name}/snapshots/{snapshot}"): "instances:update",
    ("DELETE", "/api/instances/{name}"): "instances:delete",
    ("POST", "/api/instances/{name}/exec"): "instances:exec",
    ("GET", "/ws/instances/{name}/exec"): "instances:exec",
    ("GET", "/ws/instances/{name}/console"): "instances:exec",
    ("GET", "/api/images"): "images:read",
    ("DELETE", "/api/images/{image}"): "images:manage",
    ("GET", "/operations"): "operations:read",
    ("GET", "/operations/{id}"): "operations:read",
    ("POST", "/operations/{id}/cancel"): "operations:cancel",
    ("GET", "/metrics"): "metrics:read",
}

EVERYTHING = {permission for permission in ROUTES.values() if permission not in (PUBLIC, SIGNED_IN)}
READS = {"instances:read", "images:read", "host:read", "operations:read"}
MAY = {
    "admin": EVERYTHING,
    "manager": EVERYTHING,
    "user": EVERYTHING - {"images:manage", "metrics:read"},
    "viewer": READS,
}

# What reaches somebody's instance: a body that would be good if the instance were the caller's.
BODIES = {
    ("PATCH", "/api/instances/{name}"): {"description": "taken"},
    ("POST", "/api/instances/{name}/rename"): {"new_name": "taken"},
    ("POST", "/api/instances/{name}/snapshots"): {"name": "s1"},
    ("POST", "/api/instances/{name}/exec"): {"command": ["true"]},
}


def concrete(path, name="no-such-thing"):
    return path.replace("{name}", name).replace("{snapshot}", "s1").replace("{id}", "none").replace("{image}", "none")


def test_the_description_declares_exactly_these_permissions(panel):
    paths = panel.anonymous().get("/openapi.json").json()["paths"]
    declared = {(method.upper(), path): operation["x-permission"]
                for path, operations in paths.items() for method, operation in operations.items()}
    assert declared == ROUTES


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("method,path", ROUTES)
def test_a_role_reaches_what_it_may_and_nothing_else(panel, people, role, method, path):
    permission = ROUTES[method, path]
    caller = people[role]
    if path == "/auth/logout":
        caller = panel.caller(caller.name, PASSWORD)  # a session to spare
    answer = caller.request(method, concrete(path))
    if permission in (PUBLIC, SIGNED_IN) or permission in MAY[role]:
        assert answer.status_code != 403, answer.text
        # Signing in with nothing is a 401 or 422 by itself.
        assert answer.status_code != 401 or path.startswith("/auth/"), answer.text
    else:
        assert answer.status_code == 403
        assert answer.json() == {"detail": f"没有权限（需要 {permission}）"}


@pytest.mark.parametrize("method,path", [route for route, permission in ROUTES.items() if permission != PUBLIC])
def test_without_credentials_every_route_that_is_not_public_is_401(panel, method, path):
    answer = panel.anonymous().request(method, concrete(path))
    assert answer.status_code == 401
    assert list(answer.json()) == ["detail"]


ON_AN_INSTANCE = [route for route in ROUTES if "{name}" in route[1] and "/ws/" not in route[1]]


@pytest.mark.parametrize("method,path", ON_AN_INSTANCE)
def test_somebody_elses_instance_does_not_exist_for_a_user(admin, people, instance, method, path):
    before = admin.get(f"/api/instances/{instance}").json()["info"]
    answer = people["user"].request(method, concrete(path, instance), json=BODIES.get((method, path)))
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"实例 {instance} 不存在"}
    assert admin.get(f"/api/instances/{instance}").json()["info"] == before


def test_a_user_lists_only_what_it_owns(admin, people, instance, new_name):
    mine = new_name("mine")
    people["user"].create(mine)
    names = people["user"].names()
    assert mine in names and instance not in names and "inst-00001" not in names
    assert {mine, instance} <= set(admin.names())
    page = people["user"].get("/api/instances?limit=1000")
    assert [one["name"] for one in page.json()] == names
    assert page.headers["X-Total-Count"] == str(len(names))
    people["user"].delete(f"/api/instances/{mine}?force=true")


def test_a_user_does_with_its_own_what_the_document_says(people, new_name):
    mine, user = new_name("mine"), people["user"]
    user.create(mine, ssh_port=20001, root_password="password123", nat_ports="30000-30025")
    assert user.get(f"/api/instances/{mine}").json()["root_password"] == "password123"
    for word in ("stop", "start", "restart"):
        assert user.post(f"/api/instances/{mine}/{word}").status_code == 200
    assert user.delete(f"/api/instances/{mine}?force=true").status_code == 200


def test_a_user_sees_only_its_own_in_the_monitor(people, new_name):
    mine, user = new_name("mine"), people["user"]
    user.create(mine, start=False)
    with user.web_socket("/ws/monitor") as monitor:
        shown = {one["name"] for one in monitor.receive_json()["data"]["instances"]}
    assert mine in shown and "inst-00001" not in shown
    user.delete(f"/api/instances/{mine}")


def test_acting_on_several_tells_a_user_nothing_of_others(people, instance):
    answer = people["user"].post("/api/instances/actions", {"action": "stop", "instances": [instance, "none"]})
    assert [line["message"] for line in answer.json()["data"]] == [f"实例 {instance} 不存在", "实例 none 不存在"]


def test_acting_on_several_starts_nothing_for_who_may_only_stop(panel, people, stopped):
    made = people["manager"].post("/auth/keys", {"name": "stop-" + stopped, "scope": ["instances:read",
                                                                                     "instances:stop"]}).json()
    caller = panel.anonymous(**{"X-API-Key": made["key"]})
    assert caller.post(f"/api/instances/{stopped}/start").status_code == 403
    answer = caller.post("/api/instances/actions", {"action": "start", "instances": [stopped]})
    assert answer.status_code == 403
    assert people["manager"].status_of(stopped) == "Stopped"


@pytest.mark.parametrize("role,shown", [("admin", True), ("manager", True), ("viewer", False)])
def test_a_root_password_is_shown_to_who_may_see_secrets(people, instance, role, shown):
    caller = people[role]
    detail = caller.get(f"/api/instances/{instance}").json()
    assert detail["root_password"] == ("password123" if shown else None)
    assert detail["ssh_port"] == 20001 and detail["nat_ports"] == "30000-30025"
    for text in (str(detail), caller.get("/api/instances").text, caller.get(f"/api/instances?search={instance}").text):
        assert ("password123" in text) == shown


def test_the_monitor_shows_no_passwords(people, instance):
    with people["viewer"].web_socket("/ws/monitor") as monitor:
        text = monitor.receive()
    assert instance in text and "password123" not in text


def test_operations_of_others_do_not_exist_for_a_user(admin, people, instance):
    admin.post(f"/api/instances/{instance}/stop?force=true")
    operation = admin.operations(f"&resource={instance}")[0]
    assert people["user"].get(f"/operations/{operation['id']}").status_code == 404
    assert people["user"].post(f"/operations/{operation['id']}/cancel").status_code == 404
    assert all(one["resource"] != instance for one in people["user"].operations())


def test_passwords_do_not_appear_in_operations_or_the_audit_log(panel, admin, instance):
    admin.patch(f"/api/instances/{instance}", {"description": f"{instance} 20001 changed-secret-5 30000 30025"})
    assert "changed-secret-5" not in admin.get("/operations?limit=1000").text
    recorded = panel.cli("audit", "list", "--limit", "1000", "-o", "json").stdout
    assert instance in recorded
    assert "changed-secret-5" not in recorded and "password123" not in recorded and PASSWORD not in recorded
