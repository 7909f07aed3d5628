"""Paging, filters and sorting of the list."""

import pytest

from berth_daemon import INSTANCES
from shapes import INSTANCE_INFO, assert_shape

OWN = "search=inst-"  # the fake engine's own instances, whatever other tests add


def test_a_page_has_the_shape_of_the_list_and_tells_the_total(admin):
    answer = admin.get(f"/api/instances?{OWN}&limit=7&offset=3")
    assert_shape(answer.json(), [INSTANCE_INFO])
    assert [one["name"] for one in answer.json()] == [f"inst-{n:05}" for n in range(4, 11)]
    assert answer.headers["X-Total-Count"] == str(INSTANCES)


def test_pages_together_are_the_list_without_gaps_or_repeats(admin):
    names = []
    for offset in range(0, INSTANCES + 8, 8):
        names += [one["name"] for one in admin.get(f"/api/instances?{OWN}&limit=8&offset={offset}").json()]
    assert names == [f"inst-{n:05}" for n in range(1, INSTANCES + 1)]


def test_a_page_beyond_the_end_is_empty(admin):
    answer = admin.get(f"/api/instances?{OWN}&offset=100000")
    assert answer.status_code == 200 and answer.json() == []
    assert answer.headers["X-Total-Count"] == str(INSTANCES)


@pytest.mark.parametrize("status,count", [("Stopped", INSTANCES // 10), ("running", INSTANCES - INSTANCES // 10),
                                          ("Frozen", 0), ("Stop", 0)])
def test_status_filters_by_the_whole_word_in_any_case(admin, status, count):
    found = admin.get(f"/api/instances?{OWN}&status={status}").json()
    assert len(found) == count
    assert all(one["status"].lower() == status.lower() for one in found)


def test_search_looks_into_names_addresses_and_descriptions(admin, instance):
    assert [i["name"] for i in admin.get("/api/instances?search=INST-00007").json()] == ["inst-00007"]
    address = admin.get("/api/instances/inst-00005").json()["info"]["ipv4"]
    assert "inst-00005" in [i["name"] for i in admin.get(f"/api/instances?search={address}").json()]
    assert instance in [i["name"] for i in admin.get("/api/instances?search=20001").json()]


def test_search_cannot_be_used_to_guess_a_password(admin, instance):
    assert admin.get(f"/api/instances/{instance}").json()["root_password"] == "password123"
    assert admin.get("/api/instances?search=password123").json() == []


@pytest.mark.parametrize("sort", ["name", "-name", "status", "-status", "created_at", "-created_at"])
def test_sorting_by_what_the_list_shows(admin, sort):
    field = sort.removeprefix("-")
    values = [one[field] for one in admin.get(f"/api/instances?sort={sort}").json()]
    assert values == sorted(values, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", ["cpu", "-cpu", "memory", "-memory"])
def test_sorting_by_use_keeps_every_instance(admin, sort):
    found = admin.get(f"/api/instances?{OWN}&sort={sort}").json()
    assert sorted(one["name"] for one in found) == [f"inst-{n:05}" for n in range(1, INSTANCES + 1)]
