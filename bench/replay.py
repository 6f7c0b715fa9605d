"""Every run of a demo's database replayed from its recording, here and, as bundles, in another database."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import MEDIAN, Figure, Section, percentile
from bench.scratch import scratch_database
from prompts.library import library
from runs.bundles.packing import pack_run
from runs.bundles.unpacking import import_bundle
from runs.changes import Changes
from runs.inline import execute_inline, replay_deps
from runs.models import Run
from runs.replaying import start_replay
from runs.rerunning import rerun_run
from runs.verdicts import Verdict, judge_replay
from storefront.demo_catalog import load_catalog
from storefront.demo_shop import ensure_demo_shop, prepare_products, seed_products
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo
from storefront.services import Tap

FORKS = 3
CORNER = Tap(0.03, 0.97)  # where hardly anything fits: some of these runs fail, and failures are reproduced as well


@dataclass(frozen=True, slots=True)
class Replayed:
    """One run's replay: its verdict, and milliseconds of the original, the replay and the comparison."""

    slug: str
    verdict: Verdict
    original_ms: float
    replay_ms: float
    judged_ms: float


def measure(title: str) -> Section:
    """Share of runs and hashes that are met, and what a replay takes beside its original."""
    how = (
        "The demo shop's products are prepared and put into the demo's rooms, once where the engine chooses the place "
        f"and once where it hardly can; {FORKS} composites are run again with an edited prompt. Every run is then "
        "replayed inline without any vendor: whatever asked would fail. Each is packed, taken in by a second, empty "
        "database, and replayed there. Times are those of one process, originals and replays alike; the replay's "
        "own includes storing, not the comparison, which is given apart."
    )
    with tempfile.TemporaryDirectory(prefix="seeit-bundles-") as folder:
        with scratch_database("replay"):
            runs = _runs()
            here = [_replay(run) for run in runs]
            sizes = [_pack(run, Path(folder)) for run in runs]
        with scratch_database("replay_elsewhere"):
            there = [_replay(import_bundle(path, by="bench")[0]) for path in sorted(Path(folder).glob("*.zip"))]
    section = Section(title, how)
    section.figures = [*_shares("", here), *_shares(" elsewhere", there), *_times(here), _size(sizes)]
    failed = sum(run.status == Run.Status.FAILED for run in runs)
    section.notes = [
        f"{len(runs)} runs, {failed} of them failed ones, {sum(item.verdict.hashes for item in here):,} hashes."
    ]
    section.notes += [
        f"{item.slug} {item.verdict.run}: {item.verdict.first}" for item in here + there if item.verdict.first
    ]
    return section


def _runs() -> list[Run]:
    catalog, shop = load_catalog(), ensure_demo_shop()
    assets = seed_products(shop)
    prepare_products(assets)
    rooms = [store_room_photo(shop=shop, content=room.photo_path.read_bytes()) for room in catalog.rooms]
    for index, asset in enumerate(asset for asset in assets if asset.is_ready):
        room = rooms[index % len(rooms)]
        execute_composite_run(CompositeParams(asset, room))
        execute_composite_run(CompositeParams(asset, room, CORNER))
    text = library().production("placement").template + "\nPrefer the left side.\n"
    for run in Run.objects.filter(pipeline_slug="composite", status=Run.Status.COMPLETED).order_by("id")[:FORKS]:
        changes = Changes(prompts={"placement": text})
        execute_inline(rerun_run(run, from_node="placement", by="bench", changes=changes, inline_owner="bench"))
    return list(Run.objects.select_related("pipeline", "pipeline_version", "shop").order_by("id"))


def _replay(run: Run) -> Replayed:
    began = time.perf_counter()
    replay = execute_inline(start_replay(run, by="bench", inline_owner="bench"), replay_deps())
    ended = time.perf_counter()
    verdict = judge_replay(replay)
    judged = time.perf_counter()
    return Replayed(
        run.pipeline_slug, verdict, float(run.latency_ms or 0), (ended - began) * 1000, (judged - ended) * 1000
    )


def _pack(run: Run, folder: Path) -> float:
    with (folder / f"{run.pk}.zip").open("wb") as file:
        return sum(file.write(chunk) for chunk in pack_run(run)) / 1e6


def _shares(where: str, replayed: list[Replayed]) -> list[Figure]:
    missed = sum(not item.verdict.reproduced for item in replayed)
    hashes = sum(item.verdict.hashes - item.verdict.met for item in replayed)
    return [
        Figure(f"runs not reproduced{where}", missed, "", "of", len(replayed), 0),
        Figure(f"hashes not met{where}", hashes, "", "of", sum(item.verdict.hashes for item in replayed), 0),
    ]


def _times(replayed: list[Replayed]) -> list[Figure]:
    figures = []
    for slug in sorted({item.slug for item in replayed}):
        mine = [item for item in replayed if item.slug == slug]
        whole, original = ([getattr(item, name) for item in mine] for name in ("replay_ms", "original_ms"))
        figures.append(
            Figure(f"replay of a {slug} run, p50", percentile(whole, MEDIAN), "ms", "the original",
                   percentile(original, MEDIAN))
        )  # fmt: skip
    judged = [item.judged_ms for item in replayed]
    return [*figures, Figure("comparison of a run's hashes, p50", percentile(judged, MEDIAN), "ms")]


def _size(sizes: list[float]) -> Figure:
    return Figure("a bundle, p50", percentile(sizes, MEDIAN), "MB", "the largest", max(sizes))
