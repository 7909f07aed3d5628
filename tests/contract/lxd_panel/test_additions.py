"""What the contracts' page adds to the document, in its style: create, rename, limits, snapshots, images, exec,
several at once, operations."""

import pytest

from shapes import DETAIL, IMAGE, INSTANCE_INFO, SNAPSHOT, UTC, OneOf, assert_shape, done, optional
from waiting import wait_until

OPERATION = {
    "id": str, "kind": str, "resource_type": str, "resource": str,
    "state": OneOf(("running", "succeeded", "failed", "cancelled")), "progress": int, "stage": str,
    "may_cancel": bool, "error": optional(str), "error_code": optional(str), "result": object, "created_by": str,
    "created_at": UTC, "updated_at": UTC, "finished_at": optional(UTC),
}


@pytest.fixture
def name(either_admin, new_name):
    made = new_name()
    yield made
    either_admin.delete(f"/api/instances/{made}?force=true")


def test_creating_answers_201_with_the_new_instance(either_admin, name):
    answer = either_admin.post("/api/instances", {"name": name, "image": "busybox", "description": "hello"})
    assert answer.status_code == 201
    told = answer.json()
    assert list(told) == ["success", "message", "data"]
    assert (told["success"], told["message"]) == (True, f"实例 {name} 创建成功")
    assert_shape(told["data"], {"operation": str, "info": INSTANCE_INFO})
    assert told["data"]["info"]["status"] == "Running"
    assert told["data"]["info"]["description"] == "hello"
    assert either_admin.status_of(name) == "Running"


def test_creating_without_starting_leaves_it_stopped(either_admin, name):
    either_admin.create(name, start=False)
    assert either_admin.status_of(name) == "Stopped"


def test_creating_puts_the_access_details_into_the_description(either_admin, name):
    either_admin.create(name, ssh_port=20001, root_password="password123", nat_ports="30000-30025", start=False)
    detail = either_admin.get(f"/api/instances/{name}").json()
    assert detail["info"]["description"] == f"{name} 20001 password123 30000 30025"
    assert (detail["ssh_port"], detail["nat_ports"], detail["root_password"]) == (20001, "30000-30025", "password123")


def test_creating_without_waiting_answers_202_with_an_operation_to_follow(either_admin, name):
    answer = either_admin.post("/api/instances?wait=0", {"name": name, "image": "busybox"})
    assert answer.status_code in (201, 202)  # an engine in memory may be done before anybody can look
    identity = answer.json()["data"]["operation"]
    assert answer.headers["Location"].endswith("operations/" + identity)

    def succeeded():
        operation = either_admin.get(f"/operations/{identity}").json()
        assert operation["state"] in ("running", "succeeded"), operation
        return operation["state"] == "succeeded"

    wait_until(succeeded, 30, "the operation succeeds")
    assert either_admin.status_of(name) == "Running"


def test_limits_are_set_changed_and_removed(either_admin, name):
    either_admin.create(name, cpu=1, memory=128, disk=512)
    first = either_admin.get(f"/api/instances/{name}/resources").json()
    assert (first["memory_total"], first["disk_total"]) == (128, 512)

    answer = either_admin.patch(f"/api/instances/{name}", {"memory": 256, "disk": None})
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == f"实例 {name} 修改成功"
    assert_shape(answer.json()["data"], DETAIL)
    changed = either_admin.get(f"/api/instances/{name}/resources").json()
    host = either_admin.get("/api/host/info").json()
    assert changed["memory_total"] == 256
    assert abs(changed["disk_total"] - host["disk_total"] * 1024) <= 2048


def test_changing_one_thing_leaves_the_others(either_admin, name):
    either_admin.create(name, memory=128, description="before", start=False)
    either_admin.patch(f"/api/instances/{name}", {"description": "after"})
    detail = either_admin.get(f"/api/instances/{name}").json()
    assert detail["info"]["description"] == "after"
    assert detail["resources"]["memory_total"] == 128


def test_an_empty_change_changes_nothing_and_succeeds(either_admin, name):
    either_admin.create(name, description="same", start=False)
    assert either_admin.patch(f"/api/instances/{name}", {}).status_code == 200
    assert either_admin.get(f"/api/instances/{name}").json()["info"]["description"] == "same"


def test_renaming_a_stopped_one(either_admin, name, new_name):
    either_admin.create(name, description="keeps", start=False)
    other = new_name()
    answer = either_admin.post(f"/api/instances/{name}/rename", {"new_name": other})
    assert answer.status_code == 200
    assert answer.json() == done(f"实例 {name} 已重命名为 {other}")
    assert either_admin.status_of(name) is None
    assert either_admin.get(f"/api/instances/{other}").json()["info"]["description"] == "keeps"
    either_admin.delete(f"/api/instances/{other}")


def test_snapshots_are_taken_listed_restored_and_deleted(either_admin, name):
    either_admin.create(name, description="then")
    base = f"/api/instances/{name}/snapshots"
    assert either_admin.get(base).json() == []
    assert either_admin.post(base, {"name": "s1"}).json() == done("快照 s1 创建成功")
    listed = either_admin.get(base).json()
    assert_shape(listed, [SNAPSHOT])
    assert [one["name"] for one in listed] == ["s1"]

    assert either_admin.post(f"{base}/s1/restore").json() == done("快照 s1 恢复成功")
    assert either_admin.status_of(name) == "Running"
    assert either_admin.get(f"/api/instances/{name}").json()["info"]["description"] == "then"

    assert either_admin.delete(f"{base}/s1").json() == done("快照 s1 删除成功")
    assert either_admin.get(base).json() == []


def test_a_snapshot_of_a_name_in_use_is_409(either_admin, name):
    either_admin.create(name, start=False)
    either_admin.post(f"/api/instances/{name}/snapshots", {"name": "s1"})
    assert either_admin.post(f"/api/instances/{name}/snapshots", {"name": "s1"}).status_code == 409


def test_a_snapshot_brings_back_files(real_panel, new_name):
    admin, name = real_panel.caller(), new_name()
    admin.create(name)

    def shell(text):
        return admin.post(f"/api/instances/{name}/exec", {"command": ["/bin/sh", "-c", text]}).json()

    shell("echo first > /root/file")
    admin.post(f"/api/instances/{name}/snapshots", {"name": "s1"})
    shell("echo second > /root/file")
    admin.post(f"/api/instances/{name}/snapshots/s1/restore")
    assert admin.status_of(name) == "Running"
    assert shell("cat /root/file")["stdout"] == "first\n"
    admin.delete(f"/api/instances/{name}?force=true")


def test_images_are_listed(either_admin):
    images = either_admin.get("/api/images").json()
    assert_shape(images, [IMAGE])
    assert "busybox" in {alias for image in images for alias in image["aliases"]}


def test_exec_answers_with_the_outcome_of_the_command(either_admin, either_instance):
    answer = either_admin.post(f"/api/instances/{either_instance}/exec",
                               {"command": ["sh", "-c", "echo out; echo err >&2; exit 3"]})
    assert answer.status_code == 200
    assert answer.json() == {"exit_code": 3, "stdout": "out\n", "stderr": "err\n", "truncated": False}


def test_exec_passes_arguments_as_they_are_without_a_shell(either_admin, either_instance):
    odd = "$(id) `id` ; echo 'x' \"y\" * \\ 中文"
    answer = either_admin.post(f"/api/instances/{either_instance}/exec", {"command": ["echo", odd]})
    assert answer.json()["stdout"] == odd + "\n"


def test_exec_takes_an_environment_and_a_folder(either_admin, either_instance):
    answer = either_admin.post(f"/api/instances/{either_instance}/exec",
                               {"command": ["env"], "environment": {"BERTH_TEST": "a b=c"}})
    assert "BERTH_TEST=a b=c\n" in answer.json()["stdout"]
    answer = either_admin.post(f"/api/instances/{either_instance}/exec",
                               {"command": ["pwd"], "working_directory": "/tmp"})
    assert answer.json()["stdout"] == "/tmp\n"


def test_exec_of_a_program_that_is_not_there_is_an_outcome_and_no_server_error(either_admin, either_instance):
    answer = either_admin.post(f"/api/instances/{either_instance}/exec", {"command": ["no-such-program"]})
    assert answer.status_code < 500
    assert answer.status_code != 200 or answer.json()["exit_code"] in (126, 127)


def test_exec_ends_at_its_timeout(real_panel, new_name):
    admin, name = real_panel.caller(), new_name()
    admin.create(name)
    answer = admin.post(f"/api/instances/{name}/exec", {"command": ["sleep", "60"], "timeout": 1}, timeout=20)
    assert answer.status_code == 504
    assert list(answer.json()) == ["detail"]
    admin.delete(f"/api/instances/{name}?force=true")


def test_several_at_once_each_with_its_own_outcome(either_admin, either_instance, name):
    either_admin.create(name, start=False)
    answer = either_admin.post("/api/instances/actions",
                               {"action": "start", "instances": [name, either_instance, "none"]})
    assert answer.status_code == 200
    assert answer.json() == {
        "success": False,
        "message": "2 个成功，1 个失败",
        "data": [
            {"name": name, "success": True, "message": f"实例 {name} 启动成功"},
            {"name": either_instance, "success": True, "message": f"实例 {either_instance} 已在运行"},
            {"name": "none", "success": False, "message": "实例 none 不存在"},
        ],
    }
    assert either_admin.status_of(name) == "Running"


def test_several_at_once_all_good_is_a_success(either_admin, either_instance):
    answer = either_admin.post("/api/instances/actions",
                               {"action": "stop", "instances": [either_instance], "force": True})
    assert answer.json()["success"] is True
    assert answer.json()["message"] == "1 个成功，0 个失败"
    assert either_admin.status_of(either_instance) == "Stopped"


def test_every_change_is_an_operation_that_can_be_looked_up(either_admin, either_instance):
    either_admin.post(f"/api/instances/{either_instance}/stop?force=true")
    either_admin.post(f"/api/instances/{either_instance}/start")
    answer = either_admin.get(f"/operations?resource={either_instance}").json()
    assert list(answer) == ["operations", "total"]
    assert_shape(answer["operations"], [OPERATION])
    assert [one["kind"] for one in answer["operations"]] == ["instance.start", "instance.stop", "instance.create"]
    assert answer["total"] == 3
    newest = answer["operations"][0]
    assert (newest["state"], newest["progress"], newest["created_by"]) == ("succeeded", 100, "admin")
    assert newest["finished_at"] and newest["error"] is None
    assert either_admin.get(f"/operations/{newest['id']}").json() == newest


def test_operations_are_filtered_and_paged(admin, instance):
    admin.post(f"/api/instances/{instance}/restart?force=true")
    base = f"/operations?resource={instance}"
    kinds = [one["kind"] for one in admin.get(base + "&kind=instance.re").json()["operations"]]
    assert kinds == ["instance.restart"]
    assert admin.get(base + "&state=failed").json() == {"operations": [], "total": 0}
    page = admin.get(base + "&limit=1&offset=1").json()
    assert ([one["kind"] for one in page["operations"]], page["total"]) == (["instance.create"], 2)


def test_a_failed_change_is_a_failed_operation_with_its_reason(either_admin, name):
    answer = either_admin.post("/api/instances", {"name": name, "image": "no-such-image"})
    operations = either_admin.get(f"/operations?resource={name}").json()["operations"]
    assert [one["state"] for one in operations] == ["failed"]
    assert operations[0]["error"] == answer.json()["detail"]
    assert operations[0]["error_code"]


def test_an_operation_that_has_ended_cannot_be_cancelled(admin, instance):
    operation = admin.operations(f"&resource={instance}")[0]
    assert operation["may_cancel"] is False
    assert admin.post(f"/operations/{operation['id']}/cancel").status_code == 409


def test_every_change_is_in_the_audit_log_with_who_and_the_request(panel, admin, instance):
    answer = admin.post(f"/api/instances/{instance}/stop?force=true")
    recorded = panel.cli("audit", "list", "--resource", instance, "-o", "json").stdout
    assert '"instance.stop"' in recorded and '"admin"' in recorded
    assert answer.headers["X-Request-Id"] in recorded
    assert '"127.0.0.1"' in recorded
