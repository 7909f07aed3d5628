"""The daemons and engines that the contract's tests share."""

import pathlib
import secrets
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python"))

from berth_daemon import BerthDaemon, fake_engine  # noqa: E402
from lxd_server import REPOSITORY, LxdServer  # noqa: E402


@pytest.fixture(scope="session")
def document():
    """The text of the published document."""
    return (REPOSITORY / "docs" / "contracts" / "lxd-panel.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def panel():
    """On the fake engine, for signed-in callers only."""
    with BerthDaemon(fake_engine()) as daemon:
        yield daemon.start()


@pytest.fixture(scope="session")
def open_panel():
    """On the fake engine, answering programs on this machine without credentials."""
    with BerthDaemon(fake_engine(), {"identity": {"anonymous": "loopback"}}) as daemon:
        yield daemon.start()


@pytest.fixture(scope="session")
def admin(panel):
    return panel.caller()


@pytest.fixture(scope="session")
def people(panel):
    """A signed-in caller of every role."""
    return {role: panel.person(role) for role in ("admin", "manager", "user", "viewer")}


@pytest.fixture(scope="session")
def lxd():
    server = LxdServer()
    yield server
    server.end()


@pytest.fixture(scope="session")
def real_panel(lxd):
    """On a real LXD."""
    engine = {"socket": str(lxd.socket), "tick": "1s"}
    with BerthDaemon(engine, {"identity": {"anonymous": "loopback"}}) as daemon:
        yield daemon.start()


@pytest.fixture(params=["fake", "lxd"])
def either_panel(request):
    """Each in turn: what the contract says holds on every engine."""
    return request.getfixturevalue("panel" if request.param == "fake" else "real_panel")


@pytest.fixture
def either_admin(either_panel):
    return either_panel.caller()


@pytest.fixture
def new_name():
    """Makes names that no other test uses."""
    return lambda prefix="t": f"{prefix}-{secrets.token_hex(4)}"


def _remove(caller, name):
    caller.delete(f"/api/instances/{name}?force=true")


@pytest.fixture
def instance(admin, new_name):
    """A running instance of the fake engine."""
    name = new_name()
    admin.create(name, ssh_port=20001, root_password="password123", nat_ports="30000-30025")
    yield name
    _remove(admin, name)


@pytest.fixture
def stopped(admin, new_name):
    """A stopped instance of the fake engine."""
    name = new_name()
    admin.create(name, start=False)
    yield name
    _remove(admin, name)


@pytest.fixture
def either_instance(either_admin, new_name):
    """A running instance of either engine, with the document's description."""
    name = new_name()
    either_admin.create(name, ssh_port=20001, root_password="password123", nat_ports="30000-30025", memory=512,
                        disk=10240)
    yield name
    _remove(either_admin, name)
