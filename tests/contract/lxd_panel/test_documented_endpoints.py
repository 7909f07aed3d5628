"""Every endpoint of the document, good path: exact fields, types and messages, on the fake engine and a real LXD."""

import os
import shutil

from shapes import DETAIL, HOST, INSTANCE_INFO, RESOURCES, ROOT, assert_shape, done


def test_root_names_the_panel(either_panel):
    answer = either_panel.anonymous().get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert_shape(answer.json(), ROOT)


def test_health_says_that_lxd_is_connected(either_panel):
    answer = either_panel.anonymous().get("/api/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "lxd_connected": True}


def test_host_info_has_the_documents_fields(either_admin):
    assert_shape(either_admin.get("/api/host/info").json(), HOST)


def test_host_info_tells_of_the_real_host(either_admin):
    host = either_admin.get("/api/host/info").json()
    with open("/proc/meminfo", encoding="ascii") as figures:
        total_mib = int(figures.readline().split()[1]) // 1024
    disk = shutil.disk_usage("/")
    assert host["cpu_cores"] == os.cpu_count()
    assert abs(host["memory_total"] - total_mib) <= 1
    assert 0 < host["memory_used"] <= host["memory_total"]
    assert abs(host["disk_total"] - disk.total / 2**30) <= 1
    assert abs(host["disk_used"] - disk.used / 2**30) <= 2
    assert abs(host["memory_percent"] - 100 * host["memory_used"] / host["memory_total"]) < 0.5


def test_the_list_has_the_documents_fields(either_admin, either_instance):
    listed = either_admin.get("/api/instances").json()
    assert_shape(listed, [INSTANCE_INFO])
    mine = next(entry for entry in listed if entry["name"] == either_instance)
    assert mine["status"] == "Running"
    assert mine["architecture"] == "x86_64"
    assert mine["description"] == f"{either_instance} 20001 password123 30000 30025"


def test_the_list_is_sorted_by_name(either_admin, either_instance):
    names = either_admin.names()
    assert either_instance in names
    assert names == sorted(names)


def test_a_detail_has_the_documents_fields(either_admin, either_instance):
    detail = either_admin.get(f"/api/instances/{either_instance}").json()
    assert_shape(detail, DETAIL)
    assert detail["info"]["name"] == either_instance
    assert (detail["ssh_port"], detail["nat_ports"], detail["root_password"]) == (20001, "30000-30025", "password123")


def test_a_description_of_another_form_gives_nulls(either_admin, new_name):
    name = new_name()
    either_admin.create(name, description="a web server", start=False)
    detail = either_admin.get(f"/api/instances/{name}").json()
    assert detail["info"]["description"] == "a web server"
    assert (detail["ssh_port"], detail["nat_ports"], detail["root_password"]) == (None, None, None)
    either_admin.delete(f"/api/instances/{name}")


def test_resources_have_the_documents_fields_and_the_instances_limits(either_admin, either_instance):
    resources = either_admin.get(f"/api/instances/{either_instance}/resources").json()
    assert_shape(resources, RESOURCES)
    assert resources["memory_total"] == 512
    assert resources["disk_total"] == 10240
    assert resources["memory_used"] <= 512


def test_the_detail_and_the_resources_agree_on_totals(either_admin, either_instance):
    detail = either_admin.get(f"/api/instances/{either_instance}").json()
    resources = either_admin.get(f"/api/instances/{either_instance}/resources").json()
    for field in ("memory_total", "disk_total"):
        assert detail["resources"][field] == resources[field]


def test_stop_answers_as_documented_and_is_true_at_once(either_admin, either_instance):
    answer = either_admin.post(f"/api/instances/{either_instance}/stop")
    assert answer.status_code == 200
    assert answer.json() == done(f"实例 {either_instance} 停止成功")
    assert either_admin.status_of(either_instance) == "Stopped"


def test_start_answers_as_documented_and_is_true_at_once(either_admin, either_instance):
    either_admin.post(f"/api/instances/{either_instance}/stop?force=true")
    answer = either_admin.post(f"/api/instances/{either_instance}/start")
    assert answer.status_code == 200
    assert answer.json() == done(f"实例 {either_instance} 启动成功")
    assert either_admin.status_of(either_instance) == "Running"


def test_restart_answers_as_documented(either_admin, either_instance):
    answer = either_admin.post(f"/api/instances/{either_instance}/restart")
    assert answer.status_code == 200
    assert answer.json() == done(f"实例 {either_instance} 重启成功")
    assert either_admin.status_of(either_instance) == "Running"


def test_starting_a_running_one_succeeds_and_says_so(either_admin, either_instance):
    answer = either_admin.post(f"/api/instances/{either_instance}/start")
    assert answer.status_code == 200
    assert answer.json() == done(f"实例 {either_instance} 已在运行")


def test_stopping_a_stopped_one_succeeds_and_says_so(either_admin, either_instance):
    either_admin.post(f"/api/instances/{either_instance}/stop?force=true")
    answer = either_admin.post(f"/api/instances/{either_instance}/stop")
    assert answer.status_code == 200
    assert answer.json() == done(f"实例 {either_instance} 已停止")


def test_deleting_a_running_one_without_force_is_refused(either_admin, either_instance):
    for query in ("", "?force=false"):
        answer = either_admin.delete(f"/api/instances/{either_instance}{query}")
        assert answer.status_code == 409
        assert list(answer.json()) == ["detail"]
        assert either_instance in answer.json()["detail"] and "force" in answer.json()["detail"]
    assert either_admin.status_of(either_instance) == "Running"


def test_deleting_a_running_one_with_force_stops_and_deletes(either_admin, either_instance):
    answer = either_admin.delete(f"/api/instances/{either_instance}?force=true")
    assert answer.status_code == 200
    assert answer.json() == done(f"实例 {either_instance} 删除成功")
    assert either_admin.status_of(either_instance) is None


def test_deleting_a_stopped_one_needs_no_force(either_admin, either_instance):
    either_admin.post(f"/api/instances/{either_instance}/stop?force=true")
    answer = either_admin.delete(f"/api/instances/{either_instance}")
    assert answer.status_code == 200
    assert answer.json() == done(f"实例 {either_instance} 删除成功")
    assert either_admin.get(f"/api/instances/{either_instance}").status_code == 404


def test_cpu_percent_stays_a_share_of_the_allotment_over_a_restart(either_admin, either_instance):
    either_admin.post(f"/api/instances/{either_instance}/restart?force=true")
    for _ in range(20):
        percent = either_admin.get(f"/api/instances/{either_instance}/resources").json()["cpu_percent"]
        assert 0 <= percent <= 100
