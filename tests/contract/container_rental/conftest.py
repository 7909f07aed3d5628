"""The daemons and servers that the tests of container-rental share."""

import secrets

import pytest

from berth_daemon import BerthDaemon, Caller, fake_engine
from docker_servers import IMAGE, DockerServers

PREFIX = "/container-rental"


class Rental(Caller):
    """A caller of the contract, with what most tests do with containers."""

    image = "busybox"
    fields = {}

    def create(self, name, **fields):
        answer = self.post("/api/containers", {"container_name": name, "image": self.image, **self.fields, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()["container_id"]

    def status_of(self, name):
        answer = self.get(f"/api/containers/{name}/status")
        return answer.json()["status"] if answer.status_code == 200 else None

    def listed(self):
        return {one["container_name"]: one["status"] for one in self.get("/api/containers").json()["containers"]}


def rental_of(caller):
    """The same caller, speaking to container-rental."""
    return Rental(caller.base + PREFIX, dict(caller.session.headers))


@pytest.fixture(scope="session")
def daemon():
    """Two servers in memory, for signed-in callers only."""
    settings = {"containers": {"tick": "500ms"}}
    with BerthDaemon(fake_engine(0), settings) as running:
        running.start()
        admin = rental_of(running.caller())
        for number in (1, 2):
            answer = admin.post("/api/servers", {"name": f"fake-{number}", "url": "fake://0"})
            assert answer.status_code == 200, answer.text
        yield running


@pytest.fixture(scope="session")
def open_daemon():
    """One server in memory, answering programs on this machine without credentials."""
    settings = {"containers": {"tick": "500ms"}, "identity": {"anonymous": "loopback"}}
    with BerthDaemon(fake_engine(0), settings) as running:
        running.start()
        caller = rental_of(running.anonymous())
        answer = caller.post("/api/servers", {"name": "fake-1", "url": "fake://0"})
        assert answer.status_code == 200, answer.text
        yield running


@pytest.fixture(scope="session")
def admin(daemon):
    return rental_of(daemon.caller())


@pytest.fixture(scope="session")
def dockers():
    with DockerServers(2) as servers:
        yield servers


@pytest.fixture(scope="session")
def docker_daemon(dockers):
    """Two real Dockers, answering programs on this machine without credentials."""
    settings = {"containers": {"tick": "1s"}, "identity": {"anonymous": "loopback"}}
    with BerthDaemon(fake_engine(0), settings) as running:
        running.start()
        caller = rental_of(running.anonymous())
        for number in (1, 2):
            answer = caller.post("/api/servers", {"name": f"docker-{number}", "url": dockers.url(number)})
            assert answer.status_code == 200, answer.text
        yield running


@pytest.fixture
def docker_caller(docker_daemon):
    """Somebody on this machine, before the real Dockers."""
    return rental_of(docker_daemon.anonymous())


@pytest.fixture(scope="session", params=["fake", "docker"])
def anyone(request):
    """Somebody who has nothing but the document, on every engine in turn."""
    if request.param == "fake":
        return rental_of(request.getfixturevalue("open_daemon").anonymous())
    rental = rental_of(request.getfixturevalue("docker_daemon").anonymous())
    # The engines of the tests have no bridge.
    rental.image, rental.fields = IMAGE, {"networks": ["none"]}
    return rental


@pytest.fixture
def person(daemon):
    """Makes a new signed-in caller of a role; `user_id` is its number."""
    def make(role):
        caller = daemon.person(role)
        rental = rental_of(caller)
        rental.name = caller.name
        rental.user_id = rental.get("/auth/me").json()["id"]
        return rental
    return make


@pytest.fixture
def new_name():
    """Makes names that no other test uses."""
    return lambda prefix="t": f"{prefix}-{secrets.token_hex(4)}"
