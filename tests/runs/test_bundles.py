"""Bundles: a run leaves as one zip, and what comes in is checked to the last byte."""

import hashlib
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from core.canonical import json_hash
from runs.blobs import store_blob
from runs.bundles import layout, unpacking
from runs.bundles.packing import pack_run
from runs.bundles.unpacking import import_bundle
from runs.errors import PipelineInvalid
from runs.inline import execute_inline
from runs.models import Artifact, Blob, Run, Step
from runs.replaying import start_replay
from runs.services import activate_version
from runs.verdicts import judge_replay
from tests.factories import ShopFactory, room_jpeg
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from vendors.base import Image, Reply, Unavailable

pytestmark = pytest.mark.django_db


def packed(run: Run, **options: Any) -> bytes:
    return b"".join(pack_run(run, **options))


@pytest.fixture
def run() -> Run:
    """One with a shopper's photo, a retry, a reply with a picture, and a step that needs neither."""
    shop = ShopFactory(domain="oak.example", plan="pro")
    photo = store_blob(shop=shop, content=room_jpeg(64, 48), media_type="image/jpeg", retention="shopper")
    publish(
        "p",
        *chain("asking@1", "noop@1", retries=1, backoff={"initial_ms": 1}),
        {"key": "z", "step": "noop@1", "depends_on": ["b"], "condition": "shop.plan == 'pro'"},
    )
    drawn = Reply("m-1", data={"n": 1}, images=(Image("result", room_jpeg(32, 24), "image/jpeg"),))
    given = {"room": {"photo": photo.to_json()}, "question": "Wohin?"}
    vendor = ScriptedVendor([Unavailable("503", request={"api_key": "sk-0123456789abcdef0123"}), drawn])
    made = run_inline("p", given, deps(vendor), shop=shop, pictures={"room": photo}, title="Halden <sofa>")
    assert made.status == "completed", made.error_message
    return made


def elsewhere(run: Run) -> None:
    """What another installation has of it: nothing."""
    Run.objects.filter(pk=run.pk).delete()
    Artifact.objects.all().delete()
    Blob.objects.all().delete()


def repacked(bundle: bytes, keep_manifest: bool = False, **files: Callable[[bytes], bytes] | bytes | None) -> bytes:
    """The bundle with some files changed, added or (None) left out, hashes brought up to date."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    for name, change in files.items():
        if change is None:
            del found[name]
        else:
            found[name] = change if isinstance(change, bytes) else change(found[name])
    if not keep_manifest:
        manifest = json.loads(found["manifest.json"])
        manifest["files"] = {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in found.items()
            if name != "manifest.json"
        }
        found["manifest.json"] = json.dumps(manifest).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in found.items():
            archive.writestr(name, content)
    return out.getvalue()


def edited(**changes: Any) -> Callable[[bytes], bytes]:
    """A JSON object with other members."""
    return lambda body: json.dumps({**json.loads(body), **changes}).encode()


def test_a_bundle_describes_itself_and_holds_no_secret(run: Run) -> None:
    body = packed(run)
    assert packed(run) == body, "packed again it is the same"
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        manifest = json.loads(archive.read("manifest.json"))
        text = b"".join(archive.read(name) for name in names if name.endswith(("json", "txt"))).decode()
        readme = archive.read("README.txt").decode()
    assert {"input/input-room.jpg", "steps/01-a/attempt-1/request.json", "steps/01-a/attempt-2/reply.json"} <= names
    assert {"steps/01-a/attempt-2/rules.json", "steps/01-a/attempt-2/image-result.jpg"} <= names
    assert set(manifest["files"]) == names - {"manifest.json"}
    assert str(run.pk) in readme and "import_bundle" in readme and "personal data" in readme
    assert "sk-0123456789abcdef0123" not in text and "oak.example" in text


def test_it_opens_elsewhere_and_replays_there(run: Run) -> None:
    body, steps = packed(run), list(run.steps.values_list("node_key", "output_sha256"))
    elsewhere(run)
    publish("p", *chain("noop@1"))
    imported, created = import_bundle(io.BytesIO(body), by="anna")
    assert created and imported.pk == run.pk
    imported.refresh_from_db()
    assert (imported.mode, imported.shop, imported.status) == ("imported", None, "completed")
    assert list(imported.steps.values_list("node_key", "output_sha256")) == steps
    assert imported.errors.get().code == "vendor_unavailable"
    assert imported.summary["origin"]["shop"]["domain"] == "oak.example"
    assert not Run.objects.shoppers().exists(), "it counts nowhere"
    verdict = judge_replay(execute_inline(start_replay(imported, by="test", inline_owner="test"), deps()))
    assert verdict.reproduced, [str(item) for item in verdict.differences]
    assert packed(imported)  # and it can travel on


def test_ids_of_steps_are_read_in_either_case(run: Run) -> None:
    def lower(body: bytes) -> bytes:
        return json.dumps([row | {"id": row["id"].lower()} for row in json.loads(body)]).encode()

    body = repacked(packed(run), **{"steps.json": lower})
    elsewhere(run)
    assert import_bundle(io.BytesIO(body), by="anna")[0].steps.filter(payload__isnull=False).exists()


def test_the_same_bundle_again_is_the_same_run(run: Run) -> None:
    body = packed(run)
    assert import_bundle(io.BytesIO(body), by="anna") == (run, False), "it has never left"
    elsewhere(run)
    first, _ = import_bundle(io.BytesIO(body), by="anna")
    assert import_bundle(io.BytesIO(body), by="bert") == (first, False)
    assert Run.objects.count() == 1
    other = repacked(body, **{"run.json": edited(subject_label="another")})
    with pytest.raises(layout.BundleConflict):
        import_bundle(io.BytesIO(other), by="anna")


def test_without_photos_nothing_shows_the_room(run: Run) -> None:
    with zipfile.ZipFile(io.BytesIO(packed(run, photos=False))) as archive:
        assert [name for name in archive.namelist() if name.endswith((".jpg", ".png"))] == []
        assert json.loads(archive.read("manifest.json"))["photos"] is False
        assert "left out" in archive.read("README.txt").decode()


def drop_last_step(body: bytes) -> bytes:
    return json.dumps(json.loads(body)[1:]).encode()


def first_file(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[bytes], bytes]:
    """The evidence with, at its end, another version of the first piece that has a file."""

    def edit(body: bytes) -> bytes:
        rows = json.loads(body)
        return json.dumps([*rows, change(next(row for row in rows if row["file"]))]).encode()

    return edit


RING = {"dag_version": 1, "nodes": [{"key": "a", "step": "noop@1", "depends_on": ["b"]},
                                    {"key": "b", "step": "noop@1", "depends_on": ["a"]}]}  # fmt: skip


def with_dag(dag: dict[str, Any]) -> Callable[[bytes], bytes]:
    """The pipeline with another DAG and its true hash."""
    return edited(dag=dag, dag_sha256=json_hash(dag))


BAD: dict[str, tuple[type[Exception], Callable[[bytes], bytes]]] = {
    "not_a_zip": (layout.BundleUnreadable, lambda body: b"GIF89a" + body[:100]),
    "cut_in_half": (layout.BundleUnreadable, lambda body: body[: len(body) // 2]),
    "another_zip": (layout.BundleUnreadable, lambda body: repacked(body, True, **{"manifest.json": None})),
    "a_later_version": (
        layout.BundleVersionUnknown,
        lambda body: repacked(body, **{"manifest.json": edited(version=2)}),
    ),
    "a_changed_file": (
        layout.BundleDamaged,
        lambda body: repacked(body, True, **{"run.json": edited(subject_label="x")}),
    ),
    "a_file_too_many": (layout.BundleDamaged, lambda body: repacked(body, True, **{"more.txt": b"x"})),
    "a_file_missing": (layout.BundleInvalid, lambda body: repacked(body, **{"steps.json": None})),
    "a_path_that_leads_out": (layout.BundleUnsafe, lambda body: repacked(body, **{"../../etc/passwd": b"x"})),
    "an_absolute_path": (layout.BundleUnsafe, lambda body: repacked(body, **{"/etc/passwd": b"x"})),
    "a_bad_status": (layout.BundleInvalid, lambda body: repacked(body, **{"run.json": edited(status="running")})),
    "a_bad_number": (layout.BundleInvalid, lambda body: repacked(body, **{"run.json": edited(latency_ms="soon")})),
    "a_text_too_long": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"run.json": edited(subject_label="x" * 999)}),
    ),
    "not_json": (layout.BundleInvalid, lambda body: repacked(body, **{"errors.json": b"[NaN]"})),
    "another_shape": (layout.BundleInvalid, lambda body: repacked(body, **{"metrics.json": b'{"a": 1}'})),
    "a_step_that_is_not_there": (layout.BundleInvalid, lambda body: repacked(body, **{"steps.json": drop_last_step})),
    "another_dag": (layout.BundleDamaged, lambda body: repacked(body, **{"pipeline.json": edited(dag={"nodes": []})})),
    "a_dag_that_is_none": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"pipeline.json": edited(dag={"nodes": 5}, dag_sha256=json_hash({"nodes": 5}))}),
    ),
    "a_dag_that_is_a_ring": (layout.BundleInvalid, lambda body: repacked(body, **{"pipeline.json": with_dag(RING)})),
    "a_dag_in_other_words": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"pipeline.json": with_dag({"nodes": [{"nodeKey": "a", "step": "noop@1"}]})}),
    ),
    "a_dag_that_is_too_large": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"pipeline.json": with_dag({"nodes": [{"key": "a"}] * 500})}),
    ),
    "json_without_a_bottom": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"run.json": edited(input={"a": json.loads("[" * 200 + "]" * 200)})}),
    ),
    "a_comment": (layout.BundleUnreadable, lambda body: body[:-2] + b"\x03\x00abc"),
    "a_directory_of_the_large_kind": (
        layout.BundleUnsafe,
        lambda body: body[:-22] + b"PK\x06\x07" + bytes(16) + body[-22:],
    ),
    "a_summary_that_no_list_can_show": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"run.json": edited(summary={"pictures": 5})}),
    ),
    "a_text_without_bytes": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"run.json": edited(subject_label="\ud800")}),
    ),
    "a_list_for_a_file": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"artifacts.json": first_file(lambda item: item | {"file": ["x"]})}),
    ),
    "a_file_without_its_kind": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"artifacts.json": first_file(lambda item: item | {"blob": None})}),
    ),
    "a_list_for_a_media_type": (
        layout.BundleInvalid,
        lambda body: repacked(
            body, **{"artifacts.json": first_file(lambda item: item | {"blob": {**item["blob"], "media_type": ["x"]}})}
        ),
    ),
    "a_foreign_media_type": (
        layout.BundleInvalid,
        lambda body: repacked(body, **{"artifacts.json": lambda raw: raw.replace(b"image/jpeg", b"text/html")}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_bundle_is_refused_and_leaves_nothing(run: Run, name: str) -> None:
    error, spoil = BAD[name]
    body = spoil(packed(run))
    elsewhere(run)
    with pytest.raises(error) as caught:
        import_bundle(io.BytesIO(body), by="anna")
    assert caught.value.code == error.code and caught.value.message
    assert (Run.objects.count(), Step.objects.count(), Blob.objects.count()) == (0, 0, 0)


def test_a_zip_bomb_is_refused_before_it_is_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    body = repacked(packed(run), **{"more.txt": b"\0" * 3_000_000})
    assert len(body) < 200_000
    for limit in ("MAX_FILE", "MAX_TOTAL"):
        with monkeypatch.context() as lower, pytest.raises(layout.BundleTooLarge):
            lower.setattr(unpacking, limit, 2_000_000)
            import_bundle(io.BytesIO(body), by="anna")
    monkeypatch.setattr(unpacking, "MAX_FILES", 3)
    with pytest.raises(layout.BundleTooLarge):
        import_bundle(io.BytesIO(body), by="anna")


def test_a_directory_without_end_is_refused_before_anything_is_made_of_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("the directory was read")

    body = bytearray(packed(run))
    monkeypatch.setattr(zipfile, "ZipFile", read)
    for place, size in ((10, 2), (12, 4)):  # from the end record's start: how many entries, and of how many bytes
        forged = bytearray(body)
        forged[place - 22 : place - 22 + size] = b"\xff" * size
        with pytest.raises(layout.BundleTooLarge):
            import_bundle(io.BytesIO(bytes(forged)), by="anna")


def test_a_file_that_grows_beyond_what_it_says_is_read_no_further(run: Run) -> None:
    body = repacked(packed(run), **{"more.txt": b"\0" * 60_000_000})
    place = body.rindex(b"PK\x01\x02", 0, body.rindex(b"more.txt"))  # its entry in the directory
    assert body[place + 24 : place + 28] == (60_000_000).to_bytes(4, "little")
    forged = body[: place + 24] + (10).to_bytes(4, "little") + body[place + 28 :]
    elsewhere(run)
    tracemalloc.start()
    try:
        with pytest.raises(layout.BundleDamaged, match=r"more\.txt"):
            import_bundle(io.BytesIO(forged), by="anna")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_nothing_that_comes_from_elsewhere_outlives_a_deletion(run: Run) -> None:
    def keep(raw: bytes) -> bytes:
        return raw.replace(b'"shopper"', b'"keep"').replace(b'"evidence"', b'"keep"')

    body = repacked(packed(run), **{"artifacts.json": keep})
    elsewhere(run)
    imported, _ = import_bundle(io.BytesIO(body), by="anna")
    assert set(Blob.objects.values_list("retention", flat=True)) == {Blob.Retention.EVIDENCE}
    with zipfile.ZipFile(io.BytesIO(packed(imported, photos=False))) as archive:
        assert [name for name in archive.namelist() if name.endswith((".jpg", ".png"))] == []


def test_a_dag_that_came_with_a_run_is_drawn_and_runs_only_once_it_has_been_checked(run: Run) -> None:
    dag = {"dag_version": 1, "nodes": [{"key": "a", "step": "unheard_of@1"}]}
    body = repacked(packed(run), **{"pipeline.json": with_dag(dag)})
    elsewhere(run)
    version = import_bundle(io.BytesIO(body), by="anna")[0].pipeline_version
    assert version.dag == dag and not version.active
    with pytest.raises(PipelineInvalid, match="no stage unheard_of@1"):
        activate_version(version)
    version.refresh_from_db()
    assert not version.active


def test_one_changed_byte_anywhere_is_found(run: Run) -> None:
    body = bytearray(packed(run))
    place = body.index(b"\xff\xd8\xff") + 200  # inside the photo, which is stored as it is
    body[place] ^= 1
    elsewhere(run)
    with pytest.raises(layout.BundleDamaged, match=r"input-room\.jpg"):
        import_bundle(io.BytesIO(bytes(body)), by="anna")


def test_the_commands(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run.zip"
    call_command("bundle", str(run.pk), "--out", str(out))
    assert out.read_bytes() == packed(run) and [path.name for path in tmp_path.glob("*.zip")] == ["run.zip"]
    elsewhere(run)
    call_command("import_bundle", str(out))
    assert f"Imported  {run.pk}" in capsys.readouterr().out
    out.write_bytes(b"PK nonsense")
    with pytest.raises(SystemExit) as ended:
        call_command("import_bundle", str(out))
    assert ended.value.code == 2 and "bundle_unreadable" in capsys.readouterr().err
