"""What is refused, and how: the document's envelope, 400 for bad fields, 404 for what nobody may know of."""

import pytest

MISSING = "no-such-container"

ON_A_CONTAINER = [
    ("GET", "", None), ("GET", "/status", None), ("POST", "/start", None), ("POST", "/stop", None),
    ("POST", "/restart", None), ("POST", "/pause", None), ("POST", "/resume", None), ("DELETE", "", None),
    ("PUT", "", {"container_name": "other"}), ("GET", "/logs", None), ("POST", "/exec", {"command": ["true"]}),
    ("POST", "/archive", None), ("POST", "/restore", None),
]


@pytest.mark.parametrize("method,path,body", ON_A_CONTAINER)
def test_an_unknown_container_is_404(admin, method, path, body):
    answer = admin.request(method, f"/api/containers/{MISSING}{path}", json=body)
    assert answer.status_code == 404, answer.text
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("method,path,body", ON_A_CONTAINER)
def test_somebody_elses_container_is_404(admin, person, new_name, method, path, body):
    name = new_name("c")
    admin.create(name)
    other = person("user")
    answer = other.request(method, f"/api/containers/{name}{path}", json=body)
    assert answer.status_code == 404, answer.text
    assert other.listed() == {}


@pytest.mark.parametrize("body", [
    {}, {"container_name": "a1"}, {"image": "busybox"}, {"container_name": 5, "image": "busybox"},
    {"container_name": "-a", "image": "busybox"}, {"container_name": "a b", "image": "busybox"},
    {"container_name": "名称", "image": "busybox"}, {"container_name": "x" * 200, "image": "busybox"},
    {"container_name": "a1", "image": "Not An Image"}, {"container_name": "a1", "image": "../etc/passwd"},
    {"container_name": "a1", "image": "busybox", "ports": [{"container_port": 0}]},
    {"container_name": "a1", "image": "busybox", "volumes": [{"source": "../x", "target": "/x"}]},
    {"container_name": "a1", "image": "busybox", "labels": {"berth.owner": "me"}},
    {"container_name": "a1", "image": "busybox", "restart_policy": "sometimes"},
    {"container_name": "a1", "image": "busybox", "limits": {"memory": -1}},
])
def test_a_bad_container_is_400_that_names_the_field(admin, body):
    answer = admin.post("/api/containers", body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"].startswith("Invalid data: ")
    assert answer.json()["errors"]


def test_a_name_that_is_taken_is_409(admin, new_name):
    name = new_name("c")
    admin.create(name)
    answer = admin.post("/api/containers", {"container_name": name, "image": "busybox"})
    assert answer.status_code == 409, answer.text


def test_a_name_that_is_taken_on_another_server_is_409(admin, new_name):
    name = new_name("c")
    admin.create(name, server="fake-1")
    answer = admin.post("/api/containers", {"container_name": name, "image": "busybox", "server": "fake-2"})
    assert answer.status_code == 409, answer.text


def test_an_unknown_server_is_refused(admin, new_name):
    answer = admin.post("/api/containers", {"container_name": new_name(), "image": "busybox", "server": "nowhere"})
    assert answer.status_code in (400, 404), answer.text


def test_a_user_may_not_mount_folders_of_the_server(person, new_name):
    answer = person("user").post("/api/containers", {
        "container_name": new_name(), "image": "busybox", "volumes": [{"source": "/etc", "target": "/x"}]})
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("path", ["/api/nothing", "/api/containers/a/b/c", "/"])
def test_an_unknown_path_is_404_in_the_contracts_envelope(admin, path):
    answer = admin.get(path)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]


def test_a_wrong_method_is_405_with_what_is_allowed(admin):
    answer = admin.request("PATCH", "/api/containers")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= {word.strip() for word in answer.headers["Allow"].split(",")}


@pytest.mark.parametrize("text", ["{", "[1,", "nonsense"])
def test_malformed_json_is_400(admin, text):
    answer = admin.request("POST", "/api/containers", data=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_another_content_type_is_415(admin):
    answer = admin.request("POST", "/api/containers", data="x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_nobody_is_answered_without_credentials(daemon):
    answer = daemon.anonymous().get("/container-rental/api/containers")
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("role,method,path,body", [
    ("user", "POST", "/api/servers", {"name": "s", "url": "fake://0"}),
    ("user", "POST", "/api/acl/generate", {"user_id": 1, "permissions": ["read"]}),
    ("viewer", "POST", "/api/containers", {"container_name": "a1", "image": "busybox"}),
    ("user", "POST", "/api/add_user", {"username": "u", "password": "x" * 9, "email": "u@example.org"}),
    ("viewer", "POST", "/api/alerts/add", {"alert_type": "cpu", "threshold": 5, "message": "m"}),
])
def test_a_role_without_the_permission_is_403(person, role, method, path, body):
    answer = person(role).request(method, path, json=body)
    assert answer.status_code == 403, answer.text
    assert list(answer.json()) == ["error"]
