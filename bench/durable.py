"""The peer of the engine: DBOS Transact for Python, its workflow of the same steps called in process, on our server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.scratch import administer

DATABASE = "bench_dbos"


@dataclass(slots=True)
class Peer:
    """A workflow to call, and the statements that its library has sent so far."""

    run: Any
    statements: list[str] = field(default_factory=list)


@contextmanager
def dbos_workflow(nodes: int, host: str, user: str) -> Iterator[Peer]:
    """A durable workflow of steps that answer at once, in a database of its own with the server's own durability."""
    from dbos import DBOS
    from sqlalchemy import event

    administer(f'CREATE DATABASE "{DATABASE}"')
    url = f"postgresql://{user}@/{DATABASE}?host={host}"
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        transact = DBOS(config={"name": "bench", "system_database_url": url, "log_level": "CRITICAL"})

        @DBOS.step()
        def noop(key: str) -> dict[str, Any]:
            return {"node": key}

        @DBOS.workflow()
        def chain(number: int) -> dict[str, Any]:
            return {"number": number, "answers": [noop(f"n{place}") for place in range(1, nodes + 1)]}

        DBOS.launch()
        peer = Peer(chain)
        engine = transact._sys_db.engine
        event.listen(engine, "before_cursor_execute", lambda *sent: peer.statements.append(sent[2]))
        try:
            yield peer
        finally:
            DBOS.destroy()
            administer(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')
