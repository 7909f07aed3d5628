"""The API's own description, its page, and the metrics."""

import re

import pytest


@pytest.fixture(scope="module")
def description(panel):
    answer = panel.anonymous().get("/openapi.json")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    return answer.json()


def references(node):
    """Every $ref of a JSON tree."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_is_openapi(description):
    assert description["openapi"].startswith("3.1")
    assert description["info"] == {"title": "LXD管理面板API", "version": "1.0.0"}
    assert {"bearer", "key"} <= set(description["components"]["securitySchemes"])


def test_every_reference_in_it_leads_somewhere(description):
    found = list(references(description))
    assert found
    for reference in found:
        node = description
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_operation_has_a_summary_and_answers(description):
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"] and operation["responses"], (method, path)
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path
            assert all(p["required"] for p in operation.get("parameters", []) if p["in"] == "path")


def test_every_endpoint_of_the_document_is_in_it(description, document):
    documented = re.findall(r"^(GET|POST|DELETE|WS) (/\S*)$", document, re.MULTILINE)
    assert len(documented) == 11
    for method, path in documented:
        operation = description["paths"][path.split("?")[0]]["get" if method == "WS" else method.lower()]
        assert operation.get("x-websocket", False) == (method == "WS")


def test_it_speaks_english_if_asked_to(panel):
    answer = panel.anonymous().get("/openapi.json", headers={"Accept-Language": "en"})
    assert answer.json()["info"]["title"] == "LXD panel API"


def test_secrets_are_marked_as_write_only(description):
    login = description["paths"]["/auth/login"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = description["components"]["schemas"][login["$ref"].rsplit("/", 1)[1]]
    assert schema["properties"]["password"]["writeOnly"] is True


def test_every_route_in_it_is_served(admin, description):
    """A route that is there answers by a missing thing of its own, never as an unknown path."""
    for path, operations in description["paths"].items():
        for method in operations:
            if path == "/auth/logout":
                continue  # would end the session of the other tests
            concrete = re.sub(r"{\w+}", "none", path)
            answer = admin.request(method.upper(), concrete)
            assert answer.status_code != 405, (method, path)
            assert answer.status_code != 404 or answer.json() != {"detail": "路径不存在"}, (method, path)


def test_the_page_of_it_needs_nothing_from_elsewhere(panel):
    page = panel.anonymous().get("/docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    script = panel.anonymous().get("/docs.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    for text in (page.text, script.text):
        assert not re.search(r"(src|href)=.https?://", text)
    assert "docs.js" in page.text and "openapi.json" in script.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


SAMPLE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{(\w+="[^"]*",?)+\})? (-?[0-9.e+-]+|\+Inf|NaN)')


def test_metrics_are_in_the_text_form_of_prometheus(admin):
    admin.get("/api/instances")
    answer = admin.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    names = set()
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in names, f"{name} twice"
            names.add(name)
        elif not line.startswith("#"):
            assert SAMPLE.fullmatch(line), line
    assert {"berth_http_requests_total", "berth_http_request_seconds", "berth_monitor_push_seconds"} <= names


def test_metrics_count_requests_by_route_and_outcome(admin):
    def count():
        wanted = r'berth_http_requests_total\{([^}]*route="/api/instances/\{name\}"[^}]*)\} (\d+)'
        return sum(int(value) for labels, value in re.findall(wanted, admin.get("/metrics").text)
                   if 'method="GET"' in labels and 'status="4xx"' in labels)

    before = count()
    for _ in range(3):
        admin.get("/api/instances/none")
    assert count() == before + 3


def test_metrics_never_carry_a_name_from_a_request(admin):
    admin.get("/api/instances/somebody-private")
    admin.get("/somewhere-private")
    text = admin.get("/metrics").text
    assert "somebody-private" not in text and "somewhere-private" not in text
