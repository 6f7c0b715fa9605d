"""What of django-q2 we rely on beyond its documented interface, checked before a cluster starts."""

import inspect
from importlib.metadata import version

from django_q import cluster, monitor, pusher, worker

VERSION = "1.11.1"
# Functions whose parameters we fill in or whose body we stand in for, with the parameters they had when we did.
SIGNATURES = {
    "Sentinel.__init__": (cluster.Sentinel.__init__, "self stop_event start_event cluster_id broker timeout start"),
    "Sentinel.spawn_process": (cluster.Sentinel.spawn_process, "self target args"),
    "Sentinel.spawn_cluster": (cluster.Sentinel.spawn_cluster, "self"),
    "Sentinel.reincarnate": (cluster.Sentinel.reincarnate, "self process"),
    "Sentinel.guard": (cluster.Sentinel.guard, "self"),
    "Sentinel.stop": (cluster.Sentinel.stop, "self"),
    "worker": (worker.worker, "task_queue result_queue timer timeout"),
    "pusher": (pusher.pusher, "task_queue event broker"),
    "monitor": (monitor.monitor, "result_queue broker"),
}
# Names of `django_q.cluster` that we replace: each of them locks, and whoever is killed inside keeps the lock.
REPLACED = ("Queue", "Event", "Value")


def unexpected() -> str:
    """The first thing that is not as our cluster needs it, as a sentence; empty when all is."""
    installed = version("django-q2")
    if installed != VERSION:
        return f"django-q2 is {installed}; the cluster is built on {VERSION} and has to be checked against any other."
    for name, (function, parameters) in SIGNATURES.items():
        if (found := " ".join(inspect.signature(function).parameters)) != parameters:
            return f"django-q2's {name} takes ({found}); the cluster expects ({parameters})."
    for name in REPLACED:
        if not callable(getattr(cluster, name, None)):
            return f"django_q.cluster has no {name} any more; the cluster replaces it."
    return ""
