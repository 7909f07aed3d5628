"""The document's own curl, Python, JavaScript and WebSocket examples, verbatim but for the address, on a real LXD."""

import json
import os
import re
import subprocess
import sys

import pytest

from shapes import INSTANCE_INFO, MONITOR_MESSAGE, assert_shape, done
from waiting import wait_until

NAME = "test1"
DESCRIPTION = "test1 20001 password123 30000 30025"


@pytest.fixture
def container(lxd, real_panel):
    """test1 as in the document, made with LXD's own tool and stopped."""
    lxd.create(NAME, DESCRIPTION)
    caller = real_panel.anonymous()
    wait_until(lambda: caller.status_of(NAME) == "Stopped", 10, "the panel shows test1")
    yield NAME
    lxd.lxc("delete", "--force", NAME, check=False)
    wait_until(lambda: caller.status_of(NAME) is None, 10, "test1 is gone")


def example(document, heading, language, panel):
    """The code block below a heading, with the panel's address in the place of the document's."""
    section = document[document.index(heading):]
    code = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL).group(1)
    placed = re.sub(r"(localhost|服务器IP):8000", f"127.0.0.1:{panel.port}", code)
    assert placed != code, "the example names no address"
    return placed


# Where Debian's node-ws is, whichever node runs: node has a WebSocket of its own only from version 22 on.
DEBIAN_MODULES = "/usr/share/nodejs"


def run(arguments, **options):
    done_process = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False, **options)
    assert done_process.returncode == 0, done_process.stderr
    return done_process.stdout


def json_values(text):
    """The JSON values that stand one behind the other in a text."""
    decoder, values, at = json.JSONDecoder(), [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        values.append(value)
    return values


def test_the_curl_examples(document, real_panel, lxd, container):
    script = example(document, "### cURL测试", "bash", real_panel)
    commands = re.findall(r"^curl .*$", script, re.MULTILINE)
    assert len(commands) == 5
    # One by one, with LXD's own state looked at behind each.
    listed = json.loads(run(["bash", "-c", commands[0]]))
    assert_shape(listed, [INSTANCE_INFO])
    mine = next(one for one in listed if one["name"] == container)
    assert (mine["status"], mine["description"], mine["ipv4"]) == ("Stopped", DESCRIPTION, None)

    detail = json.loads(run(["bash", "-c", commands[1]]))
    assert (detail["ssh_port"], detail["nat_ports"], detail["root_password"]) == (20001, "30000-30025", "password123")

    started = json.loads(run(["bash", "-c", commands[2]]))
    assert started == done("实例 test1 启动成功")
    assert lxd.status(container) == "Running"

    stopped = json.loads(run(["bash", "-c", commands[3]]))
    assert stopped == done("实例 test1 停止成功")
    assert lxd.status(container) == "Stopped"

    lxd.lxc("start", container)
    deleted = json.loads(run(["bash", "-c", commands[4]]))
    assert deleted == done("实例 test1 删除成功")
    assert lxd.status(container) is None


def test_the_curl_examples_as_one_script(document, real_panel, lxd, container):
    values = json_values(run(["bash", "-e"], input=example(document, "### cURL测试", "bash", real_panel)))
    assert values[1]["info"]["name"] == container
    assert values[2:] == [done("实例 test1 启动成功"), done("实例 test1 停止成功"), done("实例 test1 删除成功")]
    assert lxd.status(container) is None


def test_the_python_example(document, real_panel, lxd, container):
    printed = run([sys.executable, "-"], input=example(document, "### Python测试", "python", real_panel),
                  env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8", "NO_PROXY": "*"})
    assert "'name': 'test1'" in printed and DESCRIPTION in printed
    assert "{'success': True, 'message': '实例 test1 启动成功', 'data': None}" in printed
    assert lxd.status(container) == "Running"


def test_the_javascript_example(document, real_panel, lxd, container):
    printed = run(["node", "-"], input=example(document, "### JavaScript测试", "javascript", real_panel))
    assert "name: 'test1'" in printed and DESCRIPTION in printed
    assert "success: true" in printed and "实例 test1 启动成功" in printed
    assert lxd.status(container) == "Running"


def test_the_websocket_example(document, real_panel, lxd, container):
    code = example(document, "**连接示例** (JavaScript)", "javascript", real_panel)
    # The example goes on for ever and prints for people: count two messages, then end, and print them as JSON.
    around = """
      global.WebSocket ??= require('ws');
      let left = 2;
      console.log = (data) => {
        process.stdout.write(JSON.stringify(data) + '\\n');
        if (--left === 0) process.exit(0);
      };
    """
    printed = run(["node", "-e", around + code], env={**os.environ, "NODE_PATH": DEBIAN_MODULES})
    messages = [json.loads(line) for line in printed.splitlines()]
    assert len(messages) == 2
    for message in messages:
        assert_shape(message, MONITOR_MESSAGE)
        mine = next(one for one in message["data"]["instances"] if one["name"] == container)
        assert (mine["status"], mine["ssh_port"], mine["nat_ports"]) == ("Stopped", 20001, "30000-30025")


def test_the_documents_error_examples(document, real_panel):
    texts = [json.loads(text)["detail"] for text in re.findall(r'```json\n(\{\s*"detail": .*?\})\n```', document, re.DOTALL)]
    assert "实例 test1 不存在" in texts and "LXD服务不可用" in texts
    assert real_panel.anonymous().get("/api/instances/test1").json() == {"detail": "实例 test1 不存在"}
