"""Waiting for conditions. A test never sleeps blindly: it polls what it waits for, with a deadline."""

import time


def wait_until(condition, seconds=10.0, what=None, every=0.02):
    """Polls until `condition()` yields something true, and returns that; fails after `seconds`.

    `what` names what was waited for: a text, or a function that is asked for one at the end.
    """
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            told = what() if callable(what) else what
            raise AssertionError(f"not within {seconds} s: {told or getattr(condition, '__name__', condition)}")
        time.sleep(every)


def holds_for(condition, seconds, every=0.05):
    """True if `condition()` stays true all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            return False
        time.sleep(every)
    return True
