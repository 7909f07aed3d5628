"""The life of a rental in the real daemon: its day ends while the test looks on."""

import datetime

import pytest

from berth_daemon import BerthDaemon, fake_engine
from conftest import rental_of
from waiting import wait_until


def zone_where_it_is_late():
    """A time zone in which the day ends in 20 to 80 seconds, and the date there."""
    now = datetime.datetime.now(datetime.timezone.utc)
    minute = 59 if now.second < 40 else 58
    offset = (23 * 60 + minute - now.hour * 60 - now.minute + 12 * 60) % (24 * 60) - 12 * 60
    sign = "-" if offset < 0 else "+"
    today = (now + datetime.timedelta(minutes=offset)).date()
    return f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}", today


@pytest.fixture
def late():
    zone, today = zone_where_it_is_late()
    settings = {"containers": {"tick": "500ms"}, "rental": {"time_zone": zone, "grace": "0s"}}
    with BerthDaemon(fake_engine(0), settings) as daemon:
        daemon.start()
        admin = rental_of(daemon.caller())
        assert admin.post("/api/servers", {"name": "fake-1", "url": "fake://0"}).status_code == 200
        yield daemon, admin, today


def test_a_rental_ends_with_its_day_and_comes_back_with_a_renewal(late):
    daemon, admin, today = late
    user = rental_of(daemon.person("user"))
    user_id = user.get("/auth/me").json()["id"]
    for name in ("rented", "other"):
        admin.create(name)
    answer = admin.post("/api/rental/create",
                        {"user_id": user_id, "container_name": "rented", "expiry_date": today.isoformat()})
    assert answer.status_code == 200, answer.text
    rental = answer.json()["rental_id"]
    assert admin.get("/api/rental/check_expiry").json() == {"expired_rentals": []}
    assert user.get(f"/api/rental/{rental}").json()["status"] == "active"

    wait_until(lambda: admin.get(f"/api/rental/{rental}").json()["status"] == "archived", seconds=180)
    assert admin.status_of("other") == "running"
    assert [one["rental_id"] for one in admin.get("/api/rental/check_expiry").json()["expired_rentals"]] == [rental]

    later = today + datetime.timedelta(days=2)
    answer = admin.post("/api/rental/renew", {"rental_id": rental, "new_expiry_date": later.isoformat()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["rental"]["status"] == "active", answer.text
    assert admin.status_of("rented") == "running"
    assert admin.get("/api/rental/check_expiry").json() == {"expired_rentals": []}
