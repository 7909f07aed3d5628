"""Terminals and consoles of real containers over WebSockets."""

import urllib.parse

import pytest

from waiting import wait_until
from web_socket import Refused, Terminal


@pytest.fixture(scope="module")
def admin(steady):
    return steady.caller()


@pytest.fixture(scope="module")
def guest(admin, lxd):
    name = "terminals"
    admin.create(name)
    yield name
    admin.delete(f"/api/instances/{name}?force=true")


@pytest.fixture
def shell(admin, guest):
    with admin.web_socket(f"/ws/instances/{guest}/exec?cols=100&rows=30") as socket:
        yield Terminal(socket)


def processes(admin, guest):
    answer = admin.post(f"/api/instances/{guest}/exec", {"command": ["ps", "-o", "args"]})
    return answer.json()["stdout"]


def test_what_is_typed_is_echoed_and_run(shell):
    shell.type("echo $((6 * 7))-answer\n")
    assert "echo $((6 * 7))-answer" in shell.expect("42-answer")


def test_it_is_a_real_terminal(shell):
    shell.type("test -t 0 && test -t 1 && echo is-a-$TERM\n")
    shell.expect("is-a-xterm-256color")


def test_it_begins_with_the_size_asked_for_and_follows_a_resize(shell):
    shell.type("stty size\n")
    shell.expect("30 100")
    shell.resize(132, 43)
    shell.type("stty size\n")
    shell.expect("43 132")


def test_a_resize_is_signalled_to_the_program(shell):
    # A program of its own: the interactive shell keeps this signal to itself.
    shell.type("sh -c 'trap \"stty size; exit\" WINCH; echo se''t; while :; do sleep 0.1; done'\n")
    shell.expect("set\r\n")
    shell.resize(90, 20)
    shell.expect("20 90")


def test_control_c_interrupts_the_program_and_not_the_shell(admin, guest, shell):
    shell.type("sleep 1000\n")
    wait_until(lambda: "sleep 1000" in processes(admin, guest), 10, "the program runs")
    shell.type("\x03")
    wait_until(lambda: "sleep 1000" not in processes(admin, guest), 10, "the program has ended")
    shell.type("echo still-$((1 + 1))\n")
    shell.expect("still-2")


def test_the_exit_code_comes_last(shell):
    shell.type("exit 7\n")
    assert shell.expect_end() == {"type": "exit", "code": 7}
    assert shell.socket.wait_closed() == 1000


def test_text_frames_type_too(shell):
    shell.socket.send('{"type": "input", "data": "echo from-text-$((2 + 3))\\n"}')
    shell.expect("from-text-5")


def test_what_is_typed_before_the_terminal_is_there_is_not_lost(admin, guest):
    with admin.web_socket(f"/ws/instances/{guest}/exec") as socket:
        terminal = Terminal(socket)
        terminal.type("echo early-$((3 + 4))\n")
        terminal.expect("early-7")


def test_bytes_of_every_kind_pass_through(shell):
    shell.type("echo 中文-é-\U0001f642 | cat\n")
    assert shell.expect("\n中文-é-\U0001f642\r\n")


def command_query(script, *arguments):
    """A query that runs `script` with arguments. It lingers: LXD 5.0 itself drops the output that a command leaves
    behind when it ends at once."""
    words = ["sh", "-c", script + "; sleep 1", "script", *arguments]
    return "&".join("command=" + urllib.parse.quote(word) for word in words)


def test_a_command_of_ones_own_gets_its_arguments_as_they_are(admin, guest):
    query = command_query('for word in "$@"; do echo "<$word>"; done', "$HOME ;id", "*", "é &x=1")
    with admin.web_socket(f"/ws/instances/{guest}/exec?{query}") as socket:
        terminal = Terminal(socket)
        terminal.expect("<$HOME ;id>\r\n<*>\r\n<é &x=1>")
        assert terminal.expect_end()["code"] == 0


def test_much_output_arrives_whole(admin, guest):
    with admin.web_socket(f"/ws/instances/{guest}/exec?{command_query('seq 200000')}") as socket:
        terminal = Terminal(socket)
        assert terminal.expect_end(60) == {"type": "exit", "code": 0}
        lines = terminal.output.decode().split()
    assert lines == [str(n) for n in range(1, 200001)]


def test_closing_the_browser_ends_the_program(admin, guest):
    with admin.web_socket(f"/ws/instances/{guest}/exec?command=sleep&command=12345") as socket:
        wait_until(lambda: "sleep 12345" in processes(admin, guest), 10, "the program runs")
        socket.close()
    wait_until(lambda: "sleep 12345" not in processes(admin, guest), 10, "the program has ended")


def test_several_terminals_of_one_guest_do_not_mix(admin, guest):
    sockets = [admin.web_socket(f"/ws/instances/{guest}/exec") for _ in range(5)]
    terminals = [Terminal(socket) for socket in sockets]
    for number, terminal in enumerate(terminals):
        terminal.type(f"echo mine-is-$(({number} + 100))\n")
    for number, terminal in enumerate(terminals):
        seen = terminal.expect(f"mine-is-{number + 100}")
        assert all(f"mine-is-{other + 100}" not in seen for other in range(5) if other != number)
    for socket in sockets:
        socket.close()


def test_the_console_reaches_the_guests_own_shell(admin, guest):
    with admin.web_socket(f"/ws/instances/{guest}/console?cols=80&rows=24") as socket:
        terminal = Terminal(socket)

        def answers():
            # What is typed before LXD has the console's other end is lost, as with `lxc console`.
            terminal.type("\r")
            return terminal.comes("/ # ", 1)

        wait_until(answers, 15, "the guest's shell answers")
        terminal.type("echo console-$((5 * 5))\r")
        terminal.expect("console-25")


def test_a_stopped_guest_says_so(admin, new_name):
    name = new_name()
    admin.create(name, start=False)
    with admin.web_socket(f"/ws/instances/{name}/exec") as socket:
        ended = Terminal(socket).expect_end()
    assert ended["type"] == "error" and ended["detail"]
    admin.delete(f"/api/instances/{name}")


def test_stopping_the_guest_ends_its_terminals(admin, new_name):
    name = new_name()
    admin.create(name)
    with admin.web_socket(f"/ws/instances/{name}/exec") as socket:
        terminal = Terminal(socket)
        terminal.type("echo ready-$((1 + 2))\n")
        terminal.expect("ready-3")
        admin.post(f"/api/instances/{name}/stop?force=true")
        assert terminal.expect_end()["type"] in ("exit", "error")
    admin.delete(f"/api/instances/{name}")


def test_an_unknown_guest_and_a_weak_caller_are_refused_before_the_upgrade(steady, admin, guest):
    with pytest.raises(Refused) as refused:
        admin.web_socket("/ws/instances/none/exec")
    assert refused.value.status == 404
    with pytest.raises(Refused) as refused:
        steady.person("viewer").web_socket(f"/ws/instances/{guest}/exec")
    assert refused.value.status == 403


def test_a_terminal_is_in_the_audit_log(steady, admin, guest):
    person = steady.person("manager")
    with person.web_socket(f"/ws/instances/{guest}/exec") as socket:
        terminal = Terminal(socket)
        terminal.type("exit\n")
        terminal.expect_end()
    recorded = steady.cli("audit", "list", "--resource", guest, "-o", "json").stdout
    assert person.name in recorded and "instance.exec" in recorded
