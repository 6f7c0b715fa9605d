"""Settings of a process that is cut off: no address of any network can be reached, only this machine's own sockets."""

import socket
from typing import Any

from tests.worker_settings import *  # noqa: F403

_connect = socket.socket.connect


def _refuse(self: socket.socket, address: Any) -> None:
    if self.family != socket.AF_UNIX:
        raise OSError(f"cut off from {address}")
    _connect(self, address)


def _no_names(*asked: Any, **more: Any) -> Any:
    raise OSError(f"cut off: nobody answers for {asked[0]}")


socket.socket.connect = _refuse  # type: ignore[method-assign, assignment]
socket.getaddrinfo = _no_names
