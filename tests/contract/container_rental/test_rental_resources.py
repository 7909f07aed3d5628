"""Images, volumes and networks of the servers: what Berth adds to the document, in its style."""

import subprocess

import pytest

from berth_daemon import binary
from docker_servers import IMAGE
from lxd_server import REPOSITORY


@pytest.fixture
def server(anyone):
    """The name of a server, on every engine in turn."""
    return anyone.get("/api/servers").json()["servers"][0]["name"]


@pytest.fixture
def container(anyone, server, new_name):
    """One with a volume of its own."""
    name = new_name("c")
    anyone.create(name, server=server, volumes=[{"source": f"{name}-data", "target": "/data"}])
    yield name
    anyone.delete(f"/api/containers/{name}?force=true")
    anyone.delete(f"/api/volumes/{name}-data?server={server}")


@pytest.fixture(scope="module")
def docker_archive(tmp_path_factory):
    """The tar of a small root file system."""
    file = tmp_path_factory.mktemp("root") / "root.tar"
    subprocess.run([REPOSITORY / "scripts/lib/make-busybox-image", "--root", file], check=True, timeout=60)
    return file.read_bytes()


@pytest.fixture
def archive(anyone, docker_archive):
    """That as the engine in question reads it."""
    return docker_archive if anyone.image != "busybox" else f"{b'/etc/own'.hex()} {b'kept'.hex()}\n".encode()


def named(answer, what):
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == [what, "total", "unreachable"]
    assert body["unreachable"] == []
    assert answer.headers["X-Total-Count"] == str(body["total"])
    return {one["name"]: one for one in body[what]}


def images(answer):
    assert answer.status_code == 200, answer.text
    return {name: one for one in answer.json()["images"] for name in one["names"]}


def send(anyone, query, body, **headers):
    return anyone.request("POST", f"/api/images/import?{query}", data=body,
                          headers={"Content-Type": "application/x-tar", **headers})


def test_images_are_listed_with_the_containers_made_from_them(anyone, server, container):
    name = anyone.image if ":" in anyone.image else f"{anyone.image}:latest"
    found = images(anyone.get(f"/api/images?server={server}"))
    image = found.get(name) or found[anyone.image]
    assert image["server"] == server
    assert container in image["containers"]
    assert image["size"] > 0 and image["id"]
    everywhere = anyone.get("/api/images").json()
    assert {one["server"] for one in everywhere["images"]} == \
        {one["name"] for one in anyone.get("/api/servers").json()["servers"]}


def test_a_list_comes_in_pages(anyone, server):
    whole = anyone.get(f"/api/networks?server={server}").json()
    page = anyone.get(f"/api/networks?server={server}&limit=1&offset=1").json()
    assert page["networks"] == whole["networks"][1:2]
    assert page["total"] == whole["total"] == len(whole["networks"])
    assert anyone.get(f"/api/networks?server={server}&offset=1000").json()["networks"] == []
    assert anyone.get("/api/networks?limit=0").status_code == 400


def test_an_image_is_imported_used_and_removed(anyone, server, archive, new_name):
    image = f"local/{new_name('img')}:1"
    answer = send(anyone, f"image={image}&server={server}", archive)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": "Image imported successfully", "image": image, "server": server}
    name = new_name("c")
    anyone.create(name, image=image, server=server, command=["/sbin/idle"])
    refused = anyone.delete("/api/images", params={"image": image, "server": server})
    assert refused.status_code == 409, refused.text
    assert "in use" in refused.json()["error"]
    assert images(anyone.get(f"/api/images?server={server}"))[image]["containers"] == [name]
    assert anyone.delete(f"/api/containers/{name}?force=true").status_code == 200
    answer = anyone.delete("/api/images", params={"image": image, "server": server})
    assert answer.json() == {"message": "Image deleted successfully"}
    assert image not in images(anyone.get(f"/api/images?server={server}"))
    assert anyone.delete("/api/images", params={"image": image, "server": server}).status_code == 404


def test_what_is_no_whole_archive_is_refused(docker_caller, docker_archive):
    half = docker_archive[:300_000]
    for body in (b"x" * 100_000, half):
        answer = send(docker_caller, "image=x/y:1&server=docker-1", body)
        assert answer.status_code == 400, answer.text
        assert "tar archive" in answer.json()["error"]


@pytest.mark.parametrize("query,body,status", [
    ("image=x/y:1", b"", 400), ("", b"tar", 400), ("image=Not+An+Image", b"tar", 400),
    ("image=x/y:1&server=nowhere", b"tar", 404),
])
def test_a_bad_import_is_refused(anyone, server, query, body, status):
    query = query if "server" in query else f"{query}&server={server}"
    answer = send(anyone, query, body)
    assert answer.status_code == status, answer.text
    assert "error" in answer.json()


def test_an_import_takes_large_archives_only_on_its_own_path_and_from_who_may(anyone, admin, daemon, server):
    assert send(anyone, f"image=x/y:1&server={server}", b"x", **{"Content-Type": "text/plain"}).status_code == 415
    large = b"\0" * (2 << 20)
    assert admin.request("POST", "/api/containers", data=large).status_code == 413
    nobody = daemon.anonymous().request("POST", "/container-rental/api/images/import?image=x:1", data=large)
    assert nobody.status_code == 413
    # An archive without end marks holds nothing, or is refused: what counts is that it is read.
    assert admin.request("POST", "/api/images/import?image=x/y:1&server=fake-1", data=large,
                         headers={"Content-Type": "application/x-tar"}).status_code != 413


def test_a_volume_is_made_shown_and_removed(anyone, server, new_name):
    name = new_name("vol")
    answer = anyone.post("/api/volumes", {"name": name, "server": server})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": "Volume created successfully"}
    assert anyone.post("/api/volumes", {"name": name, "server": server}).status_code == 409
    volume = named(anyone.get(f"/api/volumes?server={server}"), "volumes")[name]
    assert volume["server"] == server and volume["containers"] == []
    answer = anyone.delete(f"/api/volumes/{name}?server={server}")
    assert answer.json() == {"message": "Volume deleted successfully"}
    assert name not in named(anyone.get(f"/api/volumes?server={server}"), "volumes")
    assert anyone.delete(f"/api/volumes/{name}?server={server}").status_code == 404


def test_a_volume_in_use_stays(anyone, server, container):
    name = f"{container}-data"
    assert named(anyone.get("/api/volumes"), "volumes")[name]["containers"] == [container]
    answer = anyone.delete(f"/api/volumes/{name}?server={server}")
    assert answer.status_code == 409, answer.text
    assert "in use" in answer.json()["error"]
    assert name in named(anyone.get("/api/volumes"), "volumes")


def test_a_network_is_made_shown_used_and_removed(anyone, server, new_name):
    name = new_name("net")
    answer = anyone.post("/api/networks", {"name": name, "server": server})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": "Network created successfully"}
    assert anyone.post("/api/networks", {"name": name, "server": server}).status_code == 409
    network = named(anyone.get(f"/api/networks?server={server}"), "networks")[name]
    assert network["driver"] == "bridge" and not network["built_in"]
    user = new_name("c")
    anyone.create(user, server=server, networks=[name])
    assert named(anyone.get(f"/api/networks?server={server}"), "networks")[name]["containers"] == [user]
    answer = anyone.delete(f"/api/networks/{name}?server={server}")
    assert answer.status_code == 409, answer.text
    assert "in use" in answer.json()["error"]
    anyone.delete(f"/api/containers/{user}?force=true")
    assert anyone.delete(f"/api/networks/{name}?server={server}").json() == {
        "message": "Network deleted successfully"}
    assert anyone.delete(f"/api/networks/{name}?server={server}").status_code == 404


def test_a_network_of_the_engines_own_stays(anyone, server):
    assert named(anyone.get(f"/api/networks?server={server}"), "networks")["none"]["built_in"]
    answer = anyone.delete(f"/api/networks/none?server={server}")
    assert answer.status_code == 409, answer.text


@pytest.mark.parametrize("what", ["volumes", "networks"])
@pytest.mark.parametrize("name", ["", "a", "../x", "/etc", "a b", "名称", "x" * 129, 5, "a;b", "$(id)"])
def test_a_bad_name_is_400_that_names_the_field(anyone, server, what, name):
    answer = anyone.post(f"/api/{what}", {"name": name, "server": server})
    assert answer.status_code == 400, answer.text
    assert [one["field"] for one in answer.json()["errors"]] == ["name"]


def test_a_change_on_one_of_several_servers_must_say_which(admin, new_name):
    for answer in (admin.post("/api/volumes", {"name": new_name()}), admin.post("/api/networks", {"name": new_name()}),
                   admin.post("/api/images/pull", {"image": "busybox"}), admin.delete("/api/images?image=busybox"),
                   admin.delete("/api/volumes/data")):
        assert answer.status_code == 400, answer.text
        assert [one["field"] for one in answer.json()["errors"]] == ["server"]
    assert admin.post("/api/volumes", {"name": new_name(), "server": "nowhere"}).status_code == 404
    assert admin.get("/api/volumes?server=nowhere").status_code == 404


def test_a_failed_pull_is_502_with_the_engines_reason(anyone, server):
    image = "localhost:1/no/such:1"
    answer = anyone.post("/api/images/pull", {"image": image, "server": server})
    assert answer.status_code == 502, answer.text
    assert f"Cannot pull image {image}: " in answer.json()["error"]
    operation = anyone.get(f"/operations?resource={image}&kind=image.pull").json()["operations"][0]
    assert operation["state"] == "failed" and operation["error_code"] == "image.pull_failed"


def test_a_user_learns_nothing_of_others(admin, person, new_name):
    user, other = person("user"), person("user")
    own, foreign = new_name("c"), new_name("c")
    user.create(own, server="fake-1", volumes=[{"source": f"{own}-data", "target": "/data"}], networks=["bridge"])
    other.create(foreign, server="fake-1", volumes=[{"source": f"{foreign}-data", "target": "/data"}])
    assert list(named(user.get("/api/volumes"), "volumes")) == [f"{own}-data"]
    assert [one["containers"] for one in user.get("/api/images").json()["images"]] == [[own]]
    assert list(named(user.get("/api/networks"), "networks")) == ["bridge"]
    stranger = person("user")
    for what in ("images", "volumes", "networks"):
        body = stranger.get(f"/api/{what}").json()
        assert body == {what: [], "total": 0, "unreachable": []}
    assert set(named(admin.get("/api/volumes"), "volumes")) >= {f"{own}-data", f"{foreign}-data"}


def test_a_user_may_not_mount_a_volume_of_somebody_elses_container(person, new_name):
    owner, spy = person("user"), person("user")
    name = new_name("c")
    owner.create(name, volumes=[{"source": f"{name}-data", "target": "/data"}])
    answer = spy.post("/api/containers", {"container_name": new_name("c"), "image": "busybox",
                                          "volumes": [{"source": f"{name}-data", "target": "/mnt"}]})
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("role,method,path,body,status", [
    ("user", "POST", "/api/volumes", {"name": "data", "server": "fake-1"}, 403),
    ("user", "DELETE", "/api/volumes/data", None, 403),
    ("user", "POST", "/api/networks", {"name": "inner", "server": "fake-1"}, 403),
    ("user", "POST", "/api/images/pull", {"image": "busybox", "server": "fake-1"}, 403),
    ("user", "DELETE", "/api/images?image=busybox&server=fake-1", None, 403),
    ("user", "GET", "/api/registries", None, 403),
    ("viewer", "GET", "/api/registries", None, 403),
    ("viewer", "GET", "/api/volumes", None, 200),
    ("viewer", "POST", "/api/volumes", {"name": "data", "server": "fake-1"}, 403),
    ("manager", "GET", "/api/registries", None, 200),
])
def test_who_may_do_what(person, role, method, path, body, status):
    answer = person(role).request(method, path, json=body)
    assert answer.status_code == status, answer.text


def test_the_real_image_is_shown_by_its_whole_name(docker_caller):
    body = docker_caller.get("/api/images?server=docker-1").json()
    assert [f"{IMAGE}:latest"] in [one["names"] for one in body["images"]]


@pytest.fixture
def berth(open_daemon, tmp_path):
    """Runs a command against the daemon, as somebody on its machine; yields what it printed."""
    def run(*arguments):
        done = subprocess.run([binary(), *arguments, "--server", open_daemon.base],
                              env={**open_daemon.environment, "HOME": str(tmp_path)}, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"
    return run


@pytest.mark.parametrize("what", ["volumes", "networks"])
def test_volumes_and_networks_at_the_command_line(berth, new_name, what):
    name = new_name("cli")
    assert berth(what, "create", name, "--on", "fake-1").strip().endswith("created successfully")
    assert ["fake-1", name] in [line.split()[:2] for line in berth(what, "list").splitlines()]
    assert berth(what, "remove", name).strip().endswith("deleted successfully")
    assert name not in berth(what, "list", "--on", "fake-1")
    assert "does not exist" in berth(what, "remove", name)


def test_images_at_the_command_line(berth):
    assert ["fake-1", "busybox"] in [line.split()[:2] for line in berth("images", "list").splitlines()]
    assert berth("images", "pull", "busybox").strip() == "Image pulled successfully"
    assert "Cannot pull image no/such:1" in berth("images", "pull", "no/such:1", "--on", "fake-1")
    assert "no/such:1 does not exist" in berth("images", "remove", "no/such:1")


def test_registries_at_the_command_line(berth, tmp_path):
    file = tmp_path / "password"
    file.write_text("a secret\n", encoding="ascii")
    file.chmod(0o600)
    assert berth("registries", "save", "x.example:5000", "keeper", str(file)).strip() == "Registry saved successfully"
    assert ["x.example:5000", "keeper"] in [line.split()[:2] for line in berth("registries", "list").splitlines()]
    assert berth("registries", "remove", "x.example:5000").strip() == "Registry removed successfully"
    assert "keeper" not in berth("registries", "list")
