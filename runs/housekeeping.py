"""The engine's own chores."""

from runs.reconciling import delete_leftover_blobs, delete_orphaned_bytes
from runs.registry import chore

chore(delete_leftover_blobs)
chore(delete_orphaned_bytes)
