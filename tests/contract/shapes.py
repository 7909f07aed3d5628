"""What the document says that answers look like: field by field, in its order, with their types."""

import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")  # local, without a zone, as in the document
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class OneOf(tuple):
    """Any of several shapes."""


def optional(shape):
    return OneOf((None, shape))


class Number:
    """A JSON number, whether written with a fraction or not, from 0 to `most`."""

    def __init__(self, most=None):
        self.most = most


INSTANCE_INFO = {
    "name": str, "status": str, "ipv4": optional(str), "ipv6": optional(str), "architecture": str,
    "created_at": TIME, "description": str,
}
RESOURCES = {
    "cpu_percent": Number(100), "memory_used": int, "memory_total": int, "disk_used": int, "disk_total": int,
    "network_rx": int, "network_tx": int,
}
DETAIL = {
    "info": INSTANCE_INFO, "resources": RESOURCES, "ssh_port": optional(int), "nat_ports": optional(str),
    "root_password": optional(str),
}
HOST = {
    "cpu_cores": int, "cpu_percent": Number(100), "memory_total": int, "memory_used": int,
    "memory_percent": Number(100), "disk_total": int, "disk_used": int, "disk_percent": Number(100),
}
MONITORED = {
    "name": str, "status": str, "ipv4": optional(str), "resources": RESOURCES, "ssh_port": optional(int),
    "nat_ports": optional(str),
}
MONITOR_MESSAGE = {"type": "update", "timestamp": TIME, "data": {"instances": [MONITORED], "host": HOST}}
ROOT = {"name": "LXD管理面板API", "version": "1.0.0", "status": "running", "timestamp": TIME}
USER = {
    "id": int, "uuid": str, "username": str, "email": str, "role": str, "permissions": [str], "totp_enabled": bool,
    "created_at": UTC, "last_login_at": optional(UTC),
}
TOKENS = {"access_token": str, "refresh_token": str, "token_type": "bearer", "expires_in": int, "user": USER}
KEY = {
    "id": str, "name": str, "scope": [str], "prefix": str, "created_at": UTC, "expires_at": optional(UTC),
    "last_used_at": optional(UTC), "key": optional(str),
}
SNAPSHOT = {"name": str, "created_at": TIME, "stateful": bool, "expires_at": optional(TIME), "size": optional(int)}
IMAGE = {
    "fingerprint": str, "aliases": [str], "description": str, "os": str, "release": str, "architecture": str,
    "type": OneOf(("container", "virtual-machine")), "size": int, "uploaded_at": TIME,
}


def done(message):
    """The answer to a change, with nothing in it but its message."""
    return {"success": True, "message": message, "data": None}


def problem(value, shape, at="answer"):
    """What does not fit, or None."""
    if isinstance(shape, OneOf):
        problems = [problem(value, one, at) for one in shape]
        return None if None in problems else problems[-1]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{at} is no object: {value!r}"
        if list(value) != list(shape):
            return f"{at} has the fields {list(value)}, not {list(shape)}"
        found = (problem(value[key], shape[key], f"{at}.{key}") for key in shape)
        return next((one for one in found if one), None)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{at} is no array: {value!r}"
        found = (problem(item, shape[0], f"{at}[{index}]") for index, item in enumerate(value))
        return next((one for one in found if one), None)
    if isinstance(shape, re.Pattern):
        return None if isinstance(value, str) and shape.fullmatch(value) else f"{at} is {value!r}"
    if isinstance(shape, Number):
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        return None if fits and (shape.most is None or value <= shape.most) else f"{at} is {value!r}"
    if shape is int:
        return None if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else f"{at} is {value!r}"
    if isinstance(shape, type):
        return None if isinstance(value, shape) else f"{at} is {value!r}, no {shape.__name__}"
    return None if value == shape and type(value) is type(shape) else f"{at} is {value!r}, not {shape!r}"


def assert_shape(value, shape):
    found = problem(value, shape)
    assert found is None, found
