"""A composite made again from its last node: what the fork adds to the node's own time."""

import time
from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from bench.figures import MEDIAN, SLOWEST, Figure, Section, percentile
from bench.processes import running_workers, wait_for
from bench.scratch import scratch_database
from prep.services import prepare_inline, save_asset
from prompts.library import library
from runs.changes import Changes
from runs.inline import execute_inline
from runs.models import Run
from runs.rerunning import rerun_run
from storefront.demo_catalog import load_catalog
from storefront.demo_shop import ensure_demo_shop
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo

NODE, TIMES, WARM = "composite", 15, 2
ADDED_TARGET_MS = 200.0
Pair = tuple[float, float]  # milliseconds: the whole fork, and of it the node


def measure(title: str) -> Section:
    """The whole fork beside the node, executed inline and by workers, as it was and with an edited prompt."""
    how = (
        f"A composite of the demo shop's first product and room, made by the local engine, is run again from `{NODE}` "
        f"{TIMES} times, after {WARM} that are not counted. The whole is from the call that starts the fork to the end "
        "of its run, by the clock of one machine; the node's own time is its step's, picture, quality gate and commit "
        "included. An edited prompt is checked and filled in on the way."
    )
    with scratch_database("rerun"):
        run = _finished()
        inline = _times(lambda: _inline(run, Changes()))
        with running_workers(WORKERS="1"):
            plain = _times(lambda: _by_workers(run, Changes()))
            edited = _times(lambda: _by_workers(run, _edited()))
    section = Section(title, how)
    for what, pairs in (("inline", inline), ("by a worker", plain), ("by a worker, prompt edited", edited)):
        added = [whole - own for whole, own in pairs]
        section.figures += [
            Figure(f"the whole fork {what}, p50", percentile([whole for whole, _ in pairs], MEDIAN), "ms",
                   "the node alone", percentile([own for _, own in pairs], MEDIAN)),
            Figure(f"what the fork adds {what}, p50", percentile(added, MEDIAN), "ms", target=ADDED_TARGET_MS),
            Figure(f"what the fork adds {what}, p95", percentile(added, SLOWEST), "ms", target=ADDED_TARGET_MS),
        ]  # fmt: skip
    section.notes = ["Facts, placement and selection are taken over by reference: no bytes are copied."]
    return section


def _finished() -> Run:
    catalog, shop = load_catalog(), ensure_demo_shop()
    product, room = catalog.products[0], catalog.rooms[0]
    asset = save_asset(
        shop=shop,
        product_id="bench",
        title=product.title,
        description=product.description_html,
        product_type=product.product_type,
        picture=product.photo_path.read_bytes(),
        media_type="image/jpeg",
    )
    prepare_inline(asset, trigger="bench")
    photo = store_room_photo(shop=shop, content=room.photo_path.read_bytes())
    run = execute_composite_run(CompositeParams(asset, photo))
    if run.status != Run.Status.COMPLETED:
        raise RuntimeError(f"the composite to begin with has not been made: {run.error_message}")
    return run


def _edited() -> Changes:
    return Changes(prompts={NODE: library().production(NODE).template + "\nKeep the shadow soft.\n"})


def _times(once: Callable[[], Pair]) -> list[Pair]:
    return [once() for _ in range(WARM + TIMES)][WARM:]


def _inline(run: Run, changes: Changes) -> Pair:
    began = time.perf_counter()
    fork = execute_inline(rerun_run(run, from_node=NODE, by="bench", changes=changes, inline_owner="bench"))
    return (time.perf_counter() - began) * 1000, _own_ms(fork)


def _by_workers(run: Run, changes: Changes) -> Pair:
    began = timezone.now()
    fork = rerun_run(run, from_node=NODE, by="bench", changes=changes)
    wait_for(lambda: Run.objects.filter(pk=fork.pk).exclude(finished_at=None).exists(), "the fork has ended")
    fork.refresh_from_db()
    if fork.finished_at is None:
        raise RuntimeError("the fork has no end")
    return (fork.finished_at - began) / timedelta(milliseconds=1), _own_ms(fork)


def _own_ms(fork: Run) -> float:
    step = fork.steps.get(node_key=NODE)
    if fork.status != Run.Status.COMPLETED or step.latency_ms is None:
        raise RuntimeError(f"the fork has not been completed: {fork.error_message}")
    return float(step.latency_ms)
