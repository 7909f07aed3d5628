"""Every error that the document and the contracts' page name: status, envelope and text."""

import http.client
import json

import pytest

MISSING = "no-such-instance"

# Method, path below /api/instances/{name}, body
ON_AN_INSTANCE = [
    ("GET", "", None),
    ("GET", "/resources", None),
    ("POST", "/start", None),
    ("POST", "/stop", None),
    ("POST", "/restart", None),
    ("DELETE", "", None),
    ("DELETE", "?force=true", None),
    ("PATCH", "", {"description": "x"}),
    ("POST", "/rename", {"new_name": "other"}),
    ("GET", "/snapshots", None),
    ("POST", "/snapshots", {"name": "s1"}),
    ("POST", "/snapshots/s1/restore", None),
    ("DELETE", "/snapshots/s1", None),
    ("POST", "/exec", {"command": ["true"]}),
]


@pytest.mark.parametrize("method,path,body", ON_AN_INSTANCE)
def test_an_unknown_instance_is_404_in_the_documents_words(either_admin, method, path, body):
    answer = either_admin.request(method, f"/api/instances/{MISSING}{path}", json=body)
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"实例 {MISSING} 不存在"}


def test_an_unknown_instance_is_404_in_english_if_asked_for(admin):
    answer = admin.get(f"/api/instances/{MISSING}", headers={"Accept-Language": "en"})
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"Instance {MISSING} does not exist"}


@pytest.mark.parametrize("name", ["测试", "a b", "..", "a%2Fb", "x" * 300, "'; DROP TABLE users; --", "<script>"])
def test_a_name_that_no_instance_can_have_is_404_and_harmless(admin, name):
    answer = admin.get("/api/instances/" + name)
    assert answer.status_code == 404
    assert list(answer.json()) == ["detail"]


@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/instance", "/api/instances/a/b/c/d", "/ws", "/api/health/"])
def test_an_unknown_path_is_404_in_the_contracts_envelope(admin, path):
    answer = admin.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"detail": "路径不存在"}


@pytest.mark.parametrize("method,path,allowed", [
    ("POST", "/api/health", {"GET", "HEAD"}),
    ("DELETE", "/api/instances", {"GET", "HEAD", "POST"}),
    ("PUT", "/api/instances/a", {"GET", "HEAD", "PATCH", "DELETE"}),
    ("GET", "/api/instances/a/start", {"POST"}),
    ("PATCH", "/api/host/info", {"GET", "HEAD"}),
    ("GET", "/auth/login", {"POST"}),
])
def test_a_wrong_method_is_405_with_what_is_allowed(admin, method, path, allowed):
    answer = admin.request(method, path)
    assert answer.status_code == 405
    assert list(answer.json()) == ["detail"]
    named = {word.strip() for word in answer.headers["Allow"].split(",")}
    assert allowed <= named
    assert method not in named


@pytest.mark.parametrize("text", ["{", "[1,", '{"name": }', "nonsense", '{"a":1} x', '{"name":"\\ud800"}', "\x00"])
def test_malformed_json_is_400(admin, text):
    answer = admin.request("POST", "/api/instances", data=text.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert list(answer.json()) == ["detail"]


def test_json_nested_too_deeply_is_refused_and_harms_nothing(admin):
    text = "[" * 50000 + "]" * 10000
    answer = admin.request("POST", "/api/instances", data=text, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert admin.get("/api/health").status_code == 200


def test_text_that_is_not_utf8_is_400(admin):
    answer = admin.request("POST", "/api/instances", data=b'{"name":"\xff\xfe","image":"busybox"}',
                           headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_content_type_is_415(admin, content_type):
    answer = admin.request("POST", "/api/instances", data='{"name":"a","image":"busybox"}',
                           headers={"Content-Type": content_type})
    assert answer.status_code == 415
    assert list(answer.json()) == ["detail"]


def test_a_body_beyond_the_limit_is_413(admin):
    answer = admin.request("POST", "/api/instances", data=b'{"name":"' + b"a" * (1 << 20) + b'"}',
                           headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert list(answer.json()) == ["detail"]


# Path, body, and the fields that have to be named
BAD_BODIES = [
    ("/api/instances", {}, {"name", "image"}),
    ("/api/instances", {"name": 5, "image": ["x"]}, {"name", "image"}),
    ("/api/instances", {"name": "a", "image": "busybox", "cpu": "many", "memory": -1, "disk": 1.5},
     {"cpu", "memory", "disk"}),
    ("/api/instances", {"name": "a", "image": "busybox", "cpu": 0, "memory": 0, "disk": 0}, {"cpu", "memory", "disk"}),
    ("/api/instances", {"name": "x" * 64, "image": "i" * 256}, {"name", "image"}),
    ("/api/instances", {"name": "", "image": ""}, {"name", "image"}),
    ("/api/instances", {"name": "-a", "image": "busybox"}, {"name"}),
    ("/api/instances", {"name": "1a", "image": "busybox"}, {"name"}),
    ("/api/instances", {"name": "a-", "image": "busybox"}, {"name"}),
    ("/api/instances", {"name": "a_b", "image": "busybox"}, {"name"}),
    ("/api/instances", {"name": "a", "image": "busybox", "type": "toaster"}, {"type"}),
    ("/api/instances", {"name": "a", "image": "busybox", "start": "yes"}, {"start"}),
    ("/api/instances", {"name": "a", "image": "busybox", "ssh_port": 70000, "root_password": "a b"},
     {"ssh_port", "root_password"}),
    ("/api/instances", {"name": "a", "image": "busybox", "ssh_port": 22}, {"ssh_port"}),
    ("/api/instances", {"name": "a", "image": "busybox", "ssh_port": 22, "root_password": "p", "nat_ports": "5-x"},
     {"nat_ports"}),
    ("/api/instances", {"name": "a", "image": "busybox", "ssh_port": 22, "root_password": "p", "nat_ports": "1-2",
                        "description": "d"}, {"description"}),
    ("/api/instances?wait=-1", {"name": "a", "image": "busybox"}, {"wait"}),
    ("/api/instances?wait=601", {"name": "a", "image": "busybox"}, {"wait"}),
    ("/api/instances/inst-00001/rename", {}, {"new_name"}),
    ("/api/instances/inst-00001/rename", {"new_name": "a b"}, {"new_name"}),
    ("/api/instances/inst-00001/snapshots", {}, {"name"}),
    ("/api/instances/inst-00001/snapshots", {"name": "../x", "stateful": False}, {"name"}),
    ("/api/instances/inst-00001/snapshots", {"name": "s", "stateful": 7}, {"stateful"}),
    ("/api/instances/inst-00001/exec", {}, {"command"}),
    ("/api/instances/inst-00001/exec", {"command": [], "timeout": 0}, {"command", "timeout"}),
    ("/api/instances/inst-00001/exec", {"command": "ls"}, {"command"}),
    ("/api/instances/actions", {}, {"action", "instances"}),
    ("/api/instances/actions", {"action": "explode", "instances": []}, {"action", "instances"}),
    ("/api/instances/actions", {"action": "start", "instances": ["a"] * 101}, {"instances"}),
    ("/auth/login", {}, {"password"}),
    ("/auth/login", {"username": 1, "password": True}, {"username", "password"}),
    ("/auth/login", {"username": "admin", "password": "x", "otp": "12"}, {"otp"}),
    ("/auth/refresh", {}, {"refresh_token"}),
    ("/auth/keys", {}, {"name"}),
    ("/auth/keys", {"name": "", "scope": "x"}, {"name", "scope"}),
    ("/auth/password", {}, {"old_password", "new_password"}),
    ("/auth/totp/confirm", {"code": "12345"}, {"code"}),
]


@pytest.mark.parametrize("path,body,fields", BAD_BODIES)
def test_bad_fields_are_422_and_every_one_is_named(admin, path, body, fields):
    answer = admin.post(path, body)
    assert answer.status_code == 422, answer.text
    told = answer.json()
    assert list(told) == ["detail", "errors"]
    assert {error["field"] for error in told["errors"]} == fields
    for error in told["errors"]:
        assert list(error) == ["field", "message"] and error["message"]
        assert error["field"] in told["detail"]


@pytest.mark.parametrize("query,fields", [
    ("limit=0", {"limit"}),
    ("limit=x&offset=-1", {"limit", "offset"}),
    ("sort=colour", {"sort"}),
    ("status=", {"status"}),
    ("limit=99999", {"limit"}),
])
def test_bad_query_fields_are_422_and_every_one_is_named(admin, query, fields):
    answer = admin.get("/api/instances?" + query)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == fields


def test_a_bad_force_is_422(admin):
    answer = admin.delete("/api/instances/inst-00001?force=perhaps")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["force"]


def test_limits_that_make_no_sense_are_422_by_their_own_names(admin, instance):
    answer = admin.patch(f"/api/instances/{instance}", {"cpu": -1, "memory": "much", "disk": False})
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"cpu", "memory", "disk"}


def test_a_refused_secret_is_not_repeated_in_the_answer(admin):
    answer = admin.post("/api/instances", {"name": "a", "image": "busybox", "ssh_port": 1, "nat_ports": "1-2",
                                           "root_password": "hush hush"})
    assert answer.status_code == 422
    assert "hush" not in answer.text


@pytest.mark.parametrize("query", ["search=%zz", "search=%ff", "search=%00", "search=%"])
def test_a_query_that_is_not_encoded_correctly_is_400(panel, admin, query):
    # A client of its own: `requests` would mend the query first.
    connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=10)
    connection.request("GET", "/api/instances?" + query, headers=dict(admin.session.headers))
    answer = connection.getresponse()
    assert answer.status == 400
    assert list(json.loads(answer.read())) == ["detail"]
    connection.close()


def test_creating_under_a_name_in_use_is_409(either_admin, either_instance):
    answer = either_admin.post("/api/instances", {"name": either_instance, "image": "busybox"})
    assert answer.status_code == 409
    assert answer.json() == {"detail": f"实例 {either_instance} 已存在"}


def test_creating_from_an_unknown_image_fails_clearly_and_leaves_nothing(either_admin, new_name):
    name = new_name()
    answer = either_admin.post("/api/instances", {"name": name, "image": "no-such-image"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]
    assert either_admin.get(f"/api/instances/{name}").status_code == 404


def test_renaming_to_a_name_in_use_is_409(either_admin, either_instance, new_name):
    other = new_name()
    either_admin.create(other, start=False)
    answer = either_admin.post(f"/api/instances/{other}/rename", {"new_name": either_instance})
    assert answer.status_code == 409
    assert answer.json() == {"detail": f"实例 {either_instance} 已存在"}
    either_admin.delete(f"/api/instances/{other}")


def test_renaming_a_running_one_is_409(either_admin, either_instance, new_name):
    answer = either_admin.post(f"/api/instances/{either_instance}/rename", {"new_name": new_name()})
    assert answer.status_code == 409
    assert either_admin.status_of(either_instance) == "Running"


def test_restarting_a_stopped_one_is_409(either_admin, either_instance):
    either_admin.post(f"/api/instances/{either_instance}/stop?force=true")
    answer = either_admin.post(f"/api/instances/{either_instance}/restart")
    assert answer.status_code == 409
    assert answer.json() == {"detail": f"实例 {either_instance} 未运行，无法重启"}


def test_an_unknown_snapshot_is_404(either_admin, either_instance):
    for method, path in (("POST", "/snapshots/none/restore"), ("DELETE", "/snapshots/none")):
        answer = either_admin.request(method, f"/api/instances/{either_instance}{path}")
        assert answer.status_code == 404
        assert "none" in answer.json()["detail"]


def test_an_unknown_image_is_404(either_admin):
    answer = either_admin.delete("/api/images/no-such-image")
    assert answer.status_code == 404
    assert "no-such-image" in answer.json()["detail"]


def test_an_unknown_operation_is_404(admin):
    for answer in (admin.get("/operations/nothing"), admin.post("/operations/nothing/cancel")):
        assert answer.status_code == 404
        assert answer.json() == {"detail": "操作不存在"}


def test_exec_in_a_stopped_one_is_409(either_admin, either_instance):
    either_admin.post(f"/api/instances/{either_instance}/stop?force=true")
    answer = either_admin.post(f"/api/instances/{either_instance}/exec", {"command": ["true"]})
    assert answer.status_code == 409


def test_a_plain_request_for_a_websocket_says_what_it_is(admin):
    answer = admin.get("/ws/monitor")
    assert answer.status_code == 426
    assert answer.headers["Upgrade"] == "websocket"
    assert list(answer.json()) == ["detail"]


def test_no_error_shows_anything_of_the_inside(admin):
    texts = [admin.get("/api/instances/" + "%27" * 40).text, admin.get("/operations/'%20OR%201=1").text,
             admin.post("/auth/refresh", {"refresh_token": "' OR 1=1 --"}).text]
    for text in texts:
        for word in ("SELECT", "sqlite", "/src/", "/tmp/", ".cpp", "terminate", "std::"):
            assert word not in text
