"""Other programs on loopback: Redis, an SQS, and a pooler's habit of losing PostgreSQL's notifications."""

import contextlib
import shutil
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator

import pytest
import redis
from django.db import connection

from tests.workers import wait_until


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A `redis-server` that keeps nothing; it can be stopped and started again on its port."""

    def __init__(self) -> None:
        self._program = shutil.which("redis-server") or pytest.skip(
            "There is no redis-server: install it (Debian: apt-get install redis-server) to test BROKER_URL=redis://"
        )
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = tempfile.TemporaryDirectory(prefix="seeit-redis-")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder.name]
        self._process = subprocess.Popen([self._program, *options], stdout=subprocess.DEVNULL)
        client = redis.Redis.from_url(self.url)

        def answers() -> bool:
            with contextlib.suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        wait_until(answers, "Redis answers")
        client.close()

    def stop(self) -> None:
        """End it; what it held is gone."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._folder.cleanup()


@contextlib.contextmanager
def sqs_server() -> Iterator[dict[str, str]]:
    """An SQS on loopback; gives the environment that leads boto3 to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
    finally:
        server.stop()


class DeafProxy(socketserver.ThreadingUnixStreamServer):
    """Passes PostgreSQL's protocol on, but no notification: what LISTEN comes to behind a pooler in transaction mode.

    Messages are a type byte and a length (PostgreSQL documentation, Message Formats); `A` is a NotificationResponse.
    """

    daemon_threads = True

    def __init__(self) -> None:
        values = connection.settings_dict
        host, port = values["HOST"], str(values["PORT"] or 5432)
        self._target = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, int(port))
        self._folder = tempfile.TemporaryDirectory(prefix="seeit-pg-")
        self.host = self._folder.name
        super().__init__(f"{self.host}/.s.PGSQL.{port}", _Conversation)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def dial(self) -> socket.socket:
        """A connection to the server itself."""
        family = socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET
        there = socket.socket(family)
        there.connect(self._target)
        return there

    def close(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()
        self._folder.cleanup()


class _Conversation(socketserver.BaseRequestHandler):
    server: DeafProxy

    def handle(self) -> None:
        there = self.server.dial()
        threading.Thread(target=self._forward, args=(there,), daemon=True).start()
        with contextlib.suppress(OSError, EOFError):
            self._pass_answers(there)
        for end in (there, self.request):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _forward(self, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                there.sendall(data)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_RDWR)

    def _pass_answers(self, there: socket.socket) -> None:
        answers = there.makefile("rb")
        while kind := answers.read(1):
            if kind in b"NS" and not answers.peek(1):  # the one-byte answer about encryption
                self.request.sendall(kind)
                continue
            size = answers.read(4)
            body = answers.read(struct.unpack(">I", size)[0] - 4)
            if kind != b"A":
                self.request.sendall(kind + size + body)
