"""Signing in, trading refresh tokens, signing out, the second factor, and what slows guessing."""

import base64
import hashlib
import hmac
import struct
import time
import threading

import pytest

from berth_daemon import ADMIN_PASSWORD, PASSWORD, BerthDaemon, Caller, fake_engine
from shapes import TOKENS, USER, assert_shape
from web_socket import Refused
from waiting import wait_until


def totp(secret, at):
    """RFC 6238, six digits, 30 s."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(at) // 30), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start:start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def bearer(panel, token):
    return Caller(panel.base, {"Authorization": "Bearer " + token})


@pytest.fixture
def someone(panel):
    return panel.person("user").name


@pytest.fixture
def tokens(panel, someone):
    return panel.login(someone, PASSWORD).json()


def test_login_answers_in_the_bare_style(panel):
    answer = panel.login()
    assert answer.status_code == 200
    assert_shape(answer.json(), TOKENS)
    assert answer.json()["user"]["username"] == "admin"
    assert answer.json()["user"]["permissions"] == ["*"]
    assert answer.json()["expires_in"] == 900


@pytest.mark.parametrize("body", [{"username": "{name}"}, {"email": "{name}"}, {"username": "{name}@example.org"},
                                  {"email": "{name}@example.org"}, {"username": "{NAME}"}])
def test_login_takes_a_name_or_an_address_in_either_field(panel, someone, body):
    body = {key: value.format(name=someone, NAME=someone.upper()) for key, value in body.items()}
    answer = panel.anonymous().post("/auth/login", {**body, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json()["user"]["username"] == someone


def test_a_wrong_password_and_an_unknown_user_are_told_alike(panel, someone):
    wrong = panel.login(someone, "not-the-password")
    unknown = panel.login("nobody-" + someone, "not-the-password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json() == {"detail": "用户名或密码错误"}


def test_a_login_without_a_name_is_refused(panel):
    answer = panel.anonymous().post("/auth/login", {"password": "x"})
    assert answer.status_code in (401, 422)


def test_me_tells_who_calls(panel, someone, tokens):
    answer = bearer(panel, tokens["access_token"]).get("/auth/me")
    assert_shape(answer.json(), USER)
    assert answer.json()["username"] == someone
    assert answer.json()["role"] == "user"


def test_the_scheme_is_not_case_sensitive(panel, tokens):
    caller = Caller(panel.base, {"Authorization": "bearer " + tokens["access_token"]})
    assert caller.get("/auth/me").status_code == 200


def test_a_changed_token_is_refused(panel, tokens):
    token = tokens["access_token"]
    for at in (5, len(token) // 2, len(token) - 3):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1:]
        assert bearer(panel, changed).get("/auth/me").status_code == 401


def test_a_refresh_token_gives_new_tokens_that_work(panel, tokens):
    answer = panel.anonymous().post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert answer.status_code == 200
    assert_shape(answer.json(), TOKENS)
    assert answer.json()["refresh_token"] != tokens["refresh_token"]
    assert bearer(panel, answer.json()["access_token"]).get("/auth/me").status_code == 200


def test_a_refresh_token_is_no_access_token_and_the_reverse(panel, tokens):
    assert bearer(panel, tokens["refresh_token"]).get("/auth/me").status_code == 401
    answer = panel.anonymous().post("/auth/refresh", {"refresh_token": tokens["access_token"]})
    assert answer.status_code == 401


def test_using_a_refresh_token_again_revokes_the_whole_family(panel, tokens):
    caller = panel.anonymous()
    second = caller.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]}).json()
    assert caller.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert caller.post("/auth/refresh", {"refresh_token": second["refresh_token"]}).status_code == 401
    assert bearer(panel, second["access_token"]).get("/auth/me").status_code == 401


def test_of_several_who_use_a_refresh_token_at_once_at_most_one_gets_tokens(panel, tokens):
    statuses = []

    def trade():
        answer = panel.anonymous().post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=trade) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count(200) <= 1
    assert set(statuses) <= {200, 401}


def test_logout_revokes_the_access_and_the_refresh_token(panel, tokens):
    caller = bearer(panel, tokens["access_token"])
    answer = caller.post("/auth/logout")
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "message": "登出成功"}
    assert caller.get("/auth/me").status_code == 401
    assert caller.get("/api/instances").status_code == 401
    assert panel.anonymous().post("/auth/refresh", {"refresh_token": tokens["refresh_token"]}).status_code == 401


def test_logout_ends_one_session_and_not_the_others(panel, someone, tokens):
    other = panel.caller(someone, PASSWORD)
    bearer(panel, tokens["access_token"]).post("/auth/logout")
    assert other.get("/auth/me").status_code == 200


def test_logout_closes_the_monitors_of_the_session(panel, tokens):
    caller = bearer(panel, tokens["access_token"])
    with caller.web_socket("/ws/monitor") as monitor:
        monitor.receive()
        caller.post("/auth/logout")
        assert monitor.wait_closed(8) == 4401


def test_a_password_change_ends_every_session(panel, someone, tokens):
    caller = bearer(panel, tokens["access_token"])
    answer = caller.post("/auth/password", {"old_password": PASSWORD, "new_password": "another-Password-8"})
    assert answer.status_code == 200, answer.text
    assert caller.get("/auth/me").status_code == 401
    assert panel.login(someone, PASSWORD).status_code == 401
    assert panel.login(someone, "another-Password-8").status_code == 200


def test_a_password_change_needs_the_old_one(panel, someone, tokens):
    answer = bearer(panel, tokens["access_token"]).post(
        "/auth/password", {"old_password": "wrong-Password-1", "new_password": "another-Password-8"})
    assert answer.status_code == 401
    assert panel.login(someone, PASSWORD).status_code == 200


def test_a_user_disabled_by_the_command_line_is_out_at_once(panel, someone, tokens):
    caller = bearer(panel, tokens["access_token"])
    assert caller.get("/auth/me").status_code == 200
    panel.cli("user", "disable", someone)
    wait_until(lambda: caller.get("/auth/me").status_code == 401, 5, "the session ends")
    assert panel.login(someone, PASSWORD).status_code == 401


def test_a_role_changed_by_the_command_line_counts_at_once(panel, someone, tokens):
    caller = bearer(panel, tokens["access_token"])
    assert caller.get("/metrics").status_code == 403
    panel.cli("user", "set-role", someone, "manager")

    def manager_now():
        fresh = panel.caller(someone, PASSWORD)
        return fresh.get("/metrics").status_code == 200

    wait_until(manager_now, 5, "the new role counts")


def test_the_second_factor_is_asked_for_and_every_code_counts_once(panel, someone, tokens):
    caller = bearer(panel, tokens["access_token"])
    begun = caller.post("/auth/totp").json()
    assert list(begun) == ["secret", "uri"]
    assert begun["uri"].startswith("otpauth://totp/") and begun["secret"] in begun["uri"]
    # Not on before it is confirmed.
    assert panel.login(someone, PASSWORD).status_code == 200
    now = time.time()
    confirmed = caller.post("/auth/totp/confirm", {"code": totp(begun["secret"], now)})
    assert confirmed.status_code == 200, confirmed.text
    assert caller.get("/auth/me").json()["totp_enabled"] is True

    without = panel.login(someone, PASSWORD)
    assert without.status_code == 401
    assert without.json() == {"detail": "需要动态验证码"}
    used = panel.login(someone, PASSWORD, otp=totp(begun["secret"], now))
    assert used.status_code == 401
    # The step after the present one is still taken, so the test need not wait for it.
    fresh = totp(begun["secret"], now + 30)
    assert panel.login(someone, PASSWORD, otp=fresh).status_code == 200
    assert panel.login(someone, PASSWORD, otp=fresh).status_code == 401


def test_a_wrong_code_does_not_turn_the_second_factor_on(panel, tokens):
    caller = bearer(panel, tokens["access_token"])
    secret = caller.post("/auth/totp").json()["secret"]
    good = {totp(secret, time.time() + step) for step in range(-60, 90, 30)}
    wrong = next(f"{n:06}" for n in range(10) if f"{n:06}" not in good)
    answer = caller.post("/auth/totp/confirm", {"code": wrong})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["code"]
    assert caller.get("/auth/me").json()["totp_enabled"] is False


def test_guessing_is_slowed_with_429_and_retry_after():
    with BerthDaemon(fake_engine(1), {"identity": {"free_attempts": 3}}) as panel:
        panel.start()
        answers = [panel.login("admin", f"wrong-{n}") for n in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert list(answers[-1].json()) == ["detail"]
        # Also the right password has to wait, else the wait would tell it.
        right = panel.login("admin", ADMIN_PASSWORD)
        assert right.status_code in (200, 429)
        wait_until(lambda: panel.login("admin", ADMIN_PASSWORD).status_code == 200, 10, "the wait ends")
        actions = panel.cli("audit", "list", "-o", "json").stdout
        assert "login" in actions and "failure" in actions


def test_an_unknown_name_is_slowed_like_a_known_one():
    with BerthDaemon(fake_engine(1), {"identity": {"free_attempts": 3}}) as panel:
        panel.start()
        statuses = [panel.login("nobody", f"wrong-{n}").status_code for n in range(4)]
        assert statuses == [401, 401, 401, 429]


@pytest.mark.parametrize("path", ["/ws/monitor", "/ws/instances/inst-00001/exec"])
def test_a_websocket_takes_its_token_from_the_query_too(panel, path):
    token = panel.login().json()["access_token"]
    panel.anonymous().web_socket(f"{path}?token={token}").close()
    for query in ("", "?token=nonsense"):
        with pytest.raises(Refused) as refused:
            panel.anonymous().web_socket(path + query)
        assert refused.value.status == 401


def test_a_query_token_is_for_websockets_alone(panel):
    token = panel.login().json()["access_token"]
    assert panel.anonymous().get(f"/api/instances?token={token}").status_code == 401
