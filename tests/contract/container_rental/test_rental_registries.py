"""Credentials for registries, with real Dockers and a registry that wants a name and a password."""

import sqlite3

import pytest

from tiny_registry import TinyRegistry
from waiting import wait_until

PLACE = {"server": "docker-1"}


@pytest.fixture(scope="module")
def registry():
    with TinyRegistry() as running:
        yield running


@pytest.fixture
def private(docker_caller, registry, new_name):
    """An image that only this registry has, under a name that no other test uses."""
    registry.set_password("keeper", "open \"sesame\" 芝麻")
    yield f"{registry.address}/team/{new_name('app')}:1"
    docker_caller.delete(f"/api/registries/{registry.address}")


def login(caller, registry, password=None):
    answer = caller.post("/api/registries", {"registry": registry.address, "username": registry.username,
                                             "password": password or registry.password})
    assert answer.status_code == 200, answer.text
    return answer.json()


def pull(caller, image, **query):
    return caller.post("/api/images/pull", {"image": image, **PLACE}, params=query)


def images_on(caller, server):
    return [name for one in caller.get(f"/api/images?server={server}").json()["images"] for name in one["names"]]


def read_store(daemon, read):
    store = sqlite3.connect(f"file:{daemon.state}/berth.db?mode=ro", uri=True)
    try:
        return read(store)
    finally:
        store.close()


def kept(daemon):
    """Everything that rests in the store."""
    return read_store(daemon, lambda store: "\n".join(store.iterdump()))


def sealed(daemon):
    """What rests of every password, and under which key."""
    return read_store(daemon, lambda store: store.execute("SELECT sealed_password FROM registries").fetchall())


def test_a_pull_without_credentials_says_what_is_missing(docker_caller, registry, private):
    answer = pull(docker_caller, private)
    assert answer.status_code == 502, answer.text
    assert f"no credentials for {registry.address} are stored" in answer.json()["error"]


def test_a_pull_with_credentials_succeeds(docker_caller, registry, private):
    assert login(docker_caller, registry) == {"message": "Registry saved successfully", "registry": registry.address}
    answer = pull(docker_caller, private)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": "Image pulled successfully", "image": private, "server": "docker-1"}
    assert private in images_on(docker_caller, "docker-1")
    assert docker_caller.delete("/api/images", params={"image": private, **PLACE}).status_code == 200


def test_a_pull_can_be_followed_as_an_operation(docker_caller, registry, private):
    login(docker_caller, registry)
    answer = pull(docker_caller, private, wait=0)
    assert answer.status_code in (200, 202), answer.text
    operation = docker_caller.get(f"/operations?kind=image.pull&resource={private}").json()["operations"][0]
    if answer.status_code == 202:
        assert answer.json()["operation"] == operation["id"]
        assert answer.headers["Location"] == f"operations/{operation['id']}"
    wait_until(lambda: docker_caller.get(f"/operations/{operation['id']}").json()["state"] == "succeeded", 30,
               lambda: docker_caller.get(f"/operations/{operation['id']}").text)
    ended = docker_caller.get(f"/operations/{operation['id']}").json()
    assert ended["progress"] == 100
    assert ended["result"] == {"image": private, "server": "docker-1"}


def test_a_changed_password_takes_effect(docker_caller, registry, private):
    login(docker_caller, registry)
    registry.set_password("keeper", "another one")
    answer = pull(docker_caller, private)
    assert answer.status_code == 502, answer.text
    assert f"the stored credentials for {registry.address} were refused" in answer.json()["error"]
    login(docker_caller, registry, "another one")
    assert pull(docker_caller, private).status_code == 200


def test_containers_are_made_and_moved_with_the_credentials(docker_caller, registry, private, new_name):
    name = new_name("c")
    wish = {"container_name": name, "image": private, "networks": ["none"], **PLACE}
    answer = docker_caller.post("/api/containers", wish)
    assert answer.status_code == 502, answer.text
    login(docker_caller, registry)
    answer = docker_caller.post("/api/containers", wish)
    assert answer.status_code == 200, answer.text
    answer = docker_caller.post("/api/ha/replace_container", {"container_name": name, "server": "docker-2"})
    assert answer.status_code == 200, answer.text
    assert private in images_on(docker_caller, "docker-2")
    assert docker_caller.delete(f"/api/containers/{name}?force=true").status_code == 200


def test_a_password_is_shown_to_nobody(docker_caller, registry, docker_daemon, private):
    password = "one-that-is-looked-for"
    login(docker_caller, registry, password)
    pull(docker_caller, private)
    shown = docker_caller.get("/api/registries")
    assert [{"registry": registry.address, "username": "keeper"}] == [
        {key: one[key] for key in ("registry", "username")} for one in shown.json()["registries"]]
    for text in (shown.text, docker_caller.get("/operations?limit=1000").text, kept(docker_daemon),
                 docker_daemon.error_file.read_text()):
        assert password not in text


def test_a_key_rotation_seals_the_credentials_anew_and_keeps_them(docker_caller, registry, docker_daemon, private):
    login(docker_caller, registry)
    docker_daemon.stop()
    before = sealed(docker_daemon)
    docker_daemon.cli("sealing", "rotate")
    assert sealed(docker_daemon) != before
    docker_daemon.start()

    def pulled():
        return pull(docker_caller, private).status_code == 200
    wait_until(pulled, 20, lambda: pull(docker_caller, private).text)


@pytest.mark.parametrize("body,fields", [
    ({}, ["registry", "username", "password"]),
    ({"registry": "no registry", "username": "a", "password": "b"}, ["registry"]),
    ({"registry": "word", "username": "a:b", "password": "two\nlines"}, ["registry", "username", "password"]),
])
def test_bad_credentials_are_400_that_name_the_fields(admin, body, fields):
    answer = admin.post("/api/registries", body)
    assert answer.status_code == 400, answer.text
    assert [one["field"] for one in answer.json()["errors"]] == fields
    assert "two" not in answer.text


def test_credentials_that_are_not_there_are_404(admin):
    assert admin.delete("/api/registries/registry.example:5000").status_code == 404
