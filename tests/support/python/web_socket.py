"""A WebSocket client that a test can use without async code."""

import asyncio
import json
import queue
import threading
import time

import websockets


class Refused(Exception):
    """The server did not upgrade; `status` is its HTTP status."""

    def __init__(self, status):
        super().__init__(f"not upgraded: HTTP {status}")
        self.status = status


class _Loop:
    """One event loop in a thread of its own, for all sockets of the process."""

    _lock = threading.Lock()
    _loop = None

    @classmethod
    def get(cls):
        with cls._lock:
            if cls._loop is None:
                cls._loop = asyncio.new_event_loop()
                threading.Thread(target=cls._loop.run_forever, daemon=True, name="web sockets").start()
            return cls._loop

    @classmethod
    def run(cls, coroutine, seconds=30):
        return asyncio.run_coroutine_threadsafe(coroutine, cls.get()).result(seconds)


class WebSocket:
    """Connects at once; `reading=False` leaves what comes in the kernel, as a slow client does."""

    def __init__(self, url, headers=None, reading=True):
        self._messages = queue.Queue()
        self.closed = threading.Event()
        self.close_code = None
        # The library brings its own; two of one would be refused.
        headers = {k: v for k, v in (headers or {}).items()
                   if k.lower() in ("authorization", "x-api-key", "origin", "host", "accept-language")}

        async def open_it():
            return await websockets.connect(url, extra_headers=headers, max_size=2**26, open_timeout=20,
                                            ping_interval=None, close_timeout=2, compression=None,
                                            max_queue=None if reading else 1, read_limit=2**16 if reading else 2**10)

        try:
            self._socket = _Loop.run(open_it())
        except websockets.InvalidStatusCode as refused:
            raise Refused(refused.status_code) from None
        self._reading = reading
        if reading:
            asyncio.run_coroutine_threadsafe(self._read(), _Loop.get())

    async def _read(self):
        try:
            async for message in self._socket:
                self._messages.put((time.monotonic(), message))
        except websockets.ConnectionClosed:
            pass
        self.close_code = self._socket.close_code
        self.closed.set()
        self._messages.put(None)

    def receive(self, seconds=10):
        """The next message; fails if the connection ends or nothing comes."""
        try:
            item = self._messages.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no message within {seconds} s") from None
        assert item is not None, f"closed with {self.close_code}"
        return item[1]

    def receive_json(self, seconds=10):
        return json.loads(self.receive(seconds))

    def wait_for(self, fits, seconds=10):
        """The first message, as JSON, that fits; others are passed over."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            assert left > 0, f"no such message within {seconds} s"
            message = self.receive_json(left)
            if fits(message):
                return message

    def send(self, message):
        _Loop.run(self._socket.send(message))

    def ping(self, seconds=10):
        """Returns once the server has answered."""
        async def there_and_back():
            await asyncio.wait_for(await self._socket.ping(), seconds)

        _Loop.run(there_and_back())

    def wait_closed(self, seconds=10):
        """The code that the server closed with."""
        assert self.closed.wait(seconds), f"still open after {seconds} s"
        return self.close_code

    def close(self):
        if self._reading:
            _Loop.run(self._socket.close())
        else:  # who does not read never sees the other side's goodbye
            _Loop.get().call_soon_threadsafe(self._socket.transport.abort)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Terminal:
    """A terminal of the panel: bytes as they come out, and how it ended."""

    def __init__(self, socket):
        self.socket = socket
        self.output = b""
        self.ended = None

    def _take(self, seconds):
        message = self.socket.receive(seconds)
        if isinstance(message, bytes):
            self.output += message
        else:
            self.ended = json.loads(message)

    def type(self, text):
        self.socket.send(text.encode())

    def resize(self, columns, rows):
        self.socket.send(json.dumps({"type": "resize", "cols": columns, "rows": rows}))

    def expect(self, text, seconds=15):
        """Waits until `text` has come out, and yields all that came up to it."""
        wanted = text.encode()
        end = time.monotonic() + seconds
        while wanted not in self.output:
            assert self.ended is None, f"ended with {self.ended}: {self.output!r}"
            left = end - time.monotonic()
            assert left > 0, f"{text!r} did not come within {seconds} s: {self.output!r}"
            self._take(left)
        at = self.output.index(wanted) + len(wanted)
        before, self.output = self.output[:at], self.output[at:]
        return before.decode(errors="replace")

    def comes(self, text, seconds):
        """Whether `text` comes out in time."""
        try:
            self.expect(text, seconds)
        except AssertionError:
            return False
        return True

    def expect_end(self, seconds=15):
        """The last text message: {"type": "exit", "code": …} or an error."""
        end = time.monotonic() + seconds
        while self.ended is None:
            left = end - time.monotonic()
            assert left > 0, f"did not end within {seconds} s: {self.output!r}"
            self._take(left)
        return self.ended
