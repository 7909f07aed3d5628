"""A real LXD for all tests, and a daemon for each."""

import pathlib
import secrets
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python"))

from berth_daemon import BerthDaemon, fake_engine  # noqa: E402
from lxd_server import LxdServer  # noqa: E402


@pytest.fixture(scope="session")
def lxd():
    server = LxdServer()
    yield server
    server.end()


@pytest.fixture
def make_daemon():
    """Makes daemons that end with the test."""
    made = []

    def make(engine, settings=None, **options):
        made.append(BerthDaemon(engine, settings, **options))
        return made[-1]

    yield make
    for daemon in made:
        daemon.end()


def _real(lxd, **engine):
    return {"socket": str(lxd.socket), "tick": "1s", **engine}


@pytest.fixture
def real_engine(lxd):
    return _real(lxd)


@pytest.fixture
def daemon(make_daemon, lxd):
    """On the real LXD."""
    return make_daemon(_real(lxd)).start()


@pytest.fixture(scope="module")
def steady(lxd):
    """On the real LXD, for all tests of a file that break neither."""
    with BerthDaemon(_real(lxd)) as running:
        yield running.start()


@pytest.fixture
def fake_daemon(make_daemon):
    return make_daemon(fake_engine()).start()


@pytest.fixture
def new_name():
    return lambda prefix="s": f"{prefix}-{secrets.token_hex(4)}"


@pytest.fixture
def container(lxd, new_name):
    """A running container, made with LXD's own tool."""
    name = new_name()
    lxd.launch(name, f"{name} 20001 password123 30000 30025")
    yield name
    lxd.resume()
    lxd.lxc("delete", "--force", name, check=False)
