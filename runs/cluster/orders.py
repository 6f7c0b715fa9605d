"""What the parent of a cluster tells its workers; made before they are forked, so that all of them share it."""

from dataclasses import dataclass, field

from runs.cluster.shared import Flag, SharedQueue

HANDOVER_SECONDS = 20.0  # for what is under way, before it is handed over to others


@dataclass
class Orders:
    """`stopping`: take nothing new and finish what is under way; `hurry`: hand it over now."""

    stopping: Flag = field(default_factory=Flag)
    hurry: Flag = field(default_factory=Flag)
    messages: SharedQueue | None = None


current: Orders | None = None
