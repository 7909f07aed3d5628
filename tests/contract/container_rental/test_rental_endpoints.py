"""Every endpoint of the document, as somebody uses it who has nothing but the document."""

import re

import pytest

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def user(anyone, new_name):
    name = new_name("user")
    answer = anyone.post("/api/add_user",
                         {"username": name, "password": "a-good-Password-1", "email": f"{name}@example.org"})
    assert answer.status_code == 200, answer.text
    return {"name": name, "id": answer.json()["user_id"]}


@pytest.fixture
def container(anyone, new_name):
    name = new_name("c")
    anyone.create(name)
    return name


def test_add_user(anyone, new_name):
    name = new_name("user")
    answer = anyone.post("/api/add_user",
                         {"username": name, "password": "a-good-Password-1", "email": f"{name}@example.org"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["message"] == "User created successfully"
    assert isinstance(body["user_id"], int)
    assert list(body) == ["message", "user_id"]


@pytest.mark.parametrize("body", [{}, {"username": "x"}, {"username": 5, "password": "x" * 9, "email": "a@b.c"},
                                  {"username": "a b", "password": "x" * 9, "email": "a@b.c"},
                                  {"username": "short", "password": "x", "email": "a@b.c"}])
def test_add_user_with_bad_data_is_400(anyone, body):
    answer = anyone.post("/api/add_user", body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Invalid data")


def test_containers(anyone, container):
    answer = anyone.get("/api/containers")
    assert answer.status_code == 200
    assert list(answer.json()) == ["containers"]
    assert {"container_name": container, "status": "running"} in answer.json()["containers"]


def test_create_a_container(anyone, new_name):
    answer = anyone.post("/api/containers", {"container_name": new_name("c"), "image": anyone.image, **anyone.fields})
    assert answer.status_code == 200
    body = answer.json()
    assert body["message"] == "Container created successfully"
    assert isinstance(body["container_id"], int)
    assert list(body) == ["message", "container_id"]


def test_container_status(anyone, container):
    answer = anyone.get(f"/api/containers/{container}/status")
    assert answer.status_code == 200
    assert answer.json() == {"container_name": container, "status": "running"}


def test_stop_a_container(anyone, container):
    answer = anyone.post(f"/api/containers/{container}/stop")
    assert answer.status_code == 200
    assert answer.json() == {"message": "Container stopped successfully"}
    assert anyone.status_of(container) == "stopped"


def test_update_a_container(anyone, container, new_name):
    name = new_name("renamed")
    answer = anyone.request("PUT", f"/api/containers/{container}", json={"container_name": name, "image": anyone.image})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": "Container updated successfully"}
    assert anyone.status_of(name) == "running"
    assert anyone.status_of(container) is None


def test_generate_and_update_an_acl_and_read_its_log(anyone, user):
    answer = anyone.post("/api/acl/generate", {"user_id": user["id"], "permissions": ["read", "write"]})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": "ACL generated successfully"}
    answer = anyone.post("/api/acl/update", {"user_id": user["id"], "permissions": ["read", "write", "execute"]})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": "ACL updated successfully"}
    body = anyone.get(f"/api/acl/logs/{user['id']}").json()
    assert body["user_id"] == user["id"]
    assert sorted(line["action"] for line in body["logs"]) == ["created", "updated"]
    assert all(UTC.fullmatch(line["timestamp"]) for line in body["logs"])


def test_download_an_acl(anyone, user):
    anyone.post("/api/acl/generate", {"user_id": user["id"], "permissions": ["read"]})
    answer = anyone.get(f"/api/acl/download/{user['name']}")
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["acl_file"]


@pytest.fixture
def rental(anyone, user, container):
    answer = anyone.post("/api/rental/create",
                         {"user_id": user["id"], "container_name": container, "expiry_date": "2099-12-30"})
    assert answer.status_code == 200, answer.text
    return answer.json()["rental_id"]


def test_rentals(anyone, rental):
    answer = anyone.get("/api/rental/check_expiry")
    assert answer.status_code == 200
    assert isinstance(answer.json()["expired_rentals"], list)
    assert rental not in [one["rental_id"] for one in answer.json()["expired_rentals"]]


def test_renew_a_rental(anyone, rental):
    answer = anyone.post("/api/rental/renew", {"rental_id": rental, "new_expiry_date": "2100-12-31"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == "Rental renewed successfully"


def test_send_expiry_notifications(anyone, user, rental):
    answer = anyone.post("/api/rental/send_expiry_notifications",
                         {"user_id": user["id"], "expiry_date": "2099-12-30"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == "Expiry notification sent"


def test_delete_a_rental(anyone, rental):
    answer = anyone.delete(f"/api/rental/delete/{rental}")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": "Rental deleted successfully"}
    assert anyone.delete(f"/api/rental/delete/{rental}").status_code == 404


def test_health_of_the_servers(anyone):
    assert anyone.get("/api/ha/health").json() == {"status": "healthy"}
    server = anyone.get("/api/servers").json()["servers"][0]["server_id"]
    assert anyone.get(f"/api/ha/health/{server}").json() == {"server_id": server, "status": "healthy"}
    assert anyone.get("/api/ha/health/999999").status_code == 404


def test_traffic_of_a_container(anyone, new_name):
    number = anyone.create(new_name("c"))
    answer = anyone.get(f"/api/ha/container_traffic/{number}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["container_id"] == number
    assert set(answer.json()["traffic"]) >= {"in", "out"}


def test_traffic_of_everything(anyone):
    answer = anyone.get("/api/traffic/realtime")
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["traffic"]) >= {"in", "out"}
    assert all(isinstance(answer.json()["traffic"][way], int) for way in ("in", "out"))


def test_add_an_alert(anyone):
    answer = anyone.post("/api/alerts/add",
                         {"alert_type": "traffic", "threshold": 10000, "message": "Traffic limit exceeded"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == "Alert added successfully"


@pytest.mark.parametrize("path,message", [
    ("failover", "Failover operation successful"),
    ("load_balance", "Load balance operation successful"),
    ("disaster_recovery", "Disaster recovery operation successful"),
])
def test_high_availability_where_nothing_is_wrong(anyone, path, message):
    answer = anyone.request("POST", f"/api/ha/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == message


def test_a_plan_of_balancing_moves_nothing(anyone):
    before = {one["container_name"]: one["server"]
              for one in anyone.get("/api/containers?detail=true").json()["containers"]}
    answer = anyone.post("/api/ha/load_balance", {"dry_run": True})
    assert answer.status_code == 200, answer.text
    after = {one["container_name"]: one["server"]
             for one in anyone.get("/api/containers?detail=true").json()["containers"]}
    assert before == after


def test_replace_a_container(anyone, container):
    answer = anyone.post("/api/ha/replace_container", {"container_name": container, "image": anyone.image})
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == "Docker container replaced successfully"
    assert anyone.status_of(container) == "running"
