"""Traffic, alerts and notifications through the whole daemon: real figures, a real mail server, a webhook's receiver
that checks signatures with code that is not ours."""

import datetime
import hashlib
import hmac
import http.server
import json
import pathlib
import subprocess
import threading
import time

import pytest
from berth_daemon import BerthDaemon, fake_engine
from conftest import rental_of
from waiting import holds_for, wait_until

SINK = pathlib.Path(__file__).resolve().parents[2] / "support" / "python" / "smtp_sink.py"


class MailServer:
    """Debian's python3-aiosmtpd, keeping what it gets."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["/usr/bin/python3", str(SINK), f"folder={folder}"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def mails(self):
        return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(self.folder.glob("*.json"))]

    def end(self):
        self.process.kill()
        self.process.wait(10)


class Receiver:
    """Keeps the headers and bodies of what is posted to it."""

    def __init__(self):
        received = self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/berth"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self, kind):
        return [json.loads(body) for headers, body in self.received if headers["X-Berth-Event"] == kind]

    def end(self):
        self.server.shutdown()


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory):
    server = MailServer(tmp_path_factory.mktemp("mails"))
    yield server
    server.end()


@pytest.fixture(scope="module")
def receiver():
    server = Receiver()
    yield server
    server.end()


@pytest.fixture(scope="module")
def told(mail_server):
    """A daemon that may send mail."""
    settings = {
        "containers": {"tick": "500ms"},
        "mail": {"host": "127.0.0.1", "port": mail_server.port, "tls": "none", "sender": "berth@example.org",
                 "operators": ["ops@example.com"], "language": "zh"},
    }
    with BerthDaemon(fake_engine(0), settings) as running:
        running.start()
        answer = rental_of(running.caller()).post("/api/servers", {"name": "fake-1", "url": "fake://0"})
        assert answer.status_code == 200, answer.text
        yield running


@pytest.fixture(scope="module")
def root(told):
    return rental_of(told.caller())


def check_signature(headers, body, secret):
    parts = dict(part.split("=", 1) for part in headers["X-Berth-Signature"].split(","))
    wanted = hmac.new(secret.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(parts["v1"], wanted)
    assert abs(int(parts["t"]) - time.time()) < 60


def test_traffic_of_a_container_flows_and_adds_up(root):
    number = root.create("flow-1")

    def traffic():
        return root.get(f"/api/ha/container_traffic/{number}").json()

    wait_until(lambda: traffic()["traffic"]["in"] > 0, 20, "traffic is measured")
    flowing = traffic()
    assert flowing["container_id"] == number
    assert flowing["traffic"]["in"] > flowing["traffic"]["out"] > 0
    assert flowing["total"]["in"] > 0
    wait_until(lambda: traffic()["total"]["in"] > flowing["total"]["in"], 20)
    assert root.get("/api/traffic/realtime").json()["traffic"]["in"] > 0
    history = root.get(f"/api/traffic/history?container_id={number}").json()
    assert sum(point["in"] for point in history["traffic"]) > 0


def test_traffic_survives_a_restart_of_the_container_and_of_the_daemon(told, root):
    number = root.create("flow-2")

    def total():
        return root.get(f"/api/ha/container_traffic/{number}").json()["total"]["in"]

    wait_until(lambda: total() > 0, 20)
    assert root.post("/api/containers/flow-2/restart").status_code == 200
    before = total()
    wait_until(lambda: total() > before, 20)
    before = total()
    told.restart()
    assert total() >= before


def test_an_alert_is_told_once_by_mail_and_webhook(root, mail_server, receiver):
    secret = root.post("/api/notifications/webhooks", {"name": "pager", "url": receiver.url}).json()["secret"]
    root.create("noisy")
    added = root.post("/api/alerts/add", {"alert_type": "traffic", "threshold": 1, "message": "流量超限",
                                          "subject": "noisy", "recipients": ["alice@example.com"]})
    assert added.json()["message"] == "Alert added successfully"
    number = added.json()["alert_id"]
    raised = wait_until(lambda: receiver.events("alert.raised"), 40, "the webhook is told")
    assert raised[0]["data"]["subject"] == "noisy"
    assert raised[0]["data"]["type"] == "traffic"
    assert raised[0]["data"]["message"] == "流量超限"
    for headers, body in receiver.received:
        check_signature(headers, body, secret)
    mails = wait_until(lambda: len(mail_server.mails()) >= 2 and mail_server.mails(), 20, "both are told by mail")
    assert sorted(mail["to"][0] for mail in mails) == ["alice@example.com", "ops@example.com"]
    assert all("流量超限：noisy" in mail["subject"] for mail in mails)
    assert holds_for(lambda: len(receiver.events("alert.raised")) == 1 and len(mail_server.mails()) == 2, 7)

    assert root.get("/api/alerts/list").json()["alerts"][0]["state"] == "raised"
    assert root.delete("/api/containers/noisy?force=true").status_code == 200
    ended = wait_until(lambda: receiver.events("alert.resolved"), 40, "the webhook is told that it is over")
    assert ended[0]["data"]["episode_id"] == raised[0]["data"]["episode_id"]
    history = root.get(f"/api/alerts/history?alert_id={number}").json()
    assert history["total"] == 1
    assert history["history"][0]["resolution"] == "subject_gone"
    deliveries = root.get("/api/notifications/deliveries?event=alert.raised").json()
    assert deliveries["total"] == 3
    assert {one["state"] for one in deliveries["deliveries"]} == {"sent"}


def test_a_raised_alert_is_not_told_again_after_a_restart(told, root, receiver):
    root.create("rented")
    user = root.post("/api/add_user", {"username": "tenant", "password": "a long enough one", "email": "t@example.com"})
    soon = (datetime.date.today() + datetime.timedelta(days=5)).isoformat()
    rented = root.post("/api/rental/create", {"user_id": user.json()["user_id"], "container_name": "rented",
                                              "expiry_date": soon})
    assert rented.status_code == 200, rented.text
    root.post("/api/alerts/add", {"alert_type": "rental_expiry", "threshold": 30, "message": "m", "subject": "rented"})

    def about():
        return [event for event in receiver.events("alert.raised") if event["data"]["subject"] == "rented"]

    wait_until(about, 40, "the webhook is told")
    told.kill()
    told.start()
    assert holds_for(lambda: len(about()) == 1, 12)
    listed = [alert for alert in root.get("/api/alerts/list").json()["alerts"] if alert["subject"] == "rented"]
    assert listed[0]["state"] == "raised"


def test_a_test_message_says_how_it_went(root, mail_server):
    answer = root.post("/api/notifications/test", {"email": "bob@example.com"})
    assert answer.json()["message"] == "Test notification sent"
    assert mail_server.mails()[-1]["to"] == ["bob@example.com"]
    answer = root.post("/api/notifications/test", {"email": "perm@example.com"})
    assert answer.json()["message"] == "Test notification could not be delivered"
    assert "No such mailbox" in answer.json()["deliveries"][0]["last_error"]
