"""Pictures as pages show them: named by hash in the trace, served by the id of their row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from core.pictures import BLOB_KEY
from runs.models import Artifact, Blob, Run
from runs.summary import RunSummary


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture; `blob_id` is None once its bytes are gone (retention, or the shopper had it deleted)."""

    name: str
    sha256: str
    blob_id: Any = None
    width: int | None = None
    height: int | None = None
    gone_text: str = "picture gone"

    @property
    def gone(self) -> bool:
        """Whether there is nothing left to show."""
        return self.blob_id is None

    @property
    def url(self) -> str:
        """As it is stored."""
        return reverse("admin:monitor_picture", args=[str(self.blob_id)])

    @property
    def small(self) -> str:
        """At most 320 px, for lists."""
        return reverse("admin:monitor_thumbnail", args=[str(self.blob_id), 320])

    @property
    def medium(self) -> str:
        """At most 1280 px, for looking at."""
        return reverse("admin:monitor_thumbnail", args=[str(self.blob_id), 1280])


Pictures = dict[str, Picture]
WENT = {"retention": "gone by retention", "shopper": "deleted by the shopper", "": "deleted"}


def gone_text(artifacts: Iterable[Artifact]) -> str:
    """When and why the pictures of a run went, as the last of them that did says it."""
    gone = [(item.deleted_at, item.deleted_for) for item in artifacts if item.deleted_at is not None]
    if not gone:
        return "picture gone"
    when, why = max(gone)
    return f"picture {WENT.get(why, 'deleted')} on {timezone.localtime(when):%Y-%m-%d, %H:%M}"


def picture_of(blob: Blob, name: str = "") -> Picture:
    """A stored picture."""
    return Picture(name, blob.sha256, blob.pk, blob.width, blob.height)


def find_picture(pictures: Pictures, reference: Any, name: str = "", gone: str = "picture gone") -> Picture | None:
    """The picture that a reference of IR or input names, or a bare hash; one that is gone still has a name, and a text
    that says so."""
    sha256 = reference.get(BLOB_KEY) if isinstance(reference, Mapping) else reference
    if not sha256 or not isinstance(sha256, str):
        return None
    found = pictures.get(sha256)
    if found is not None:
        return replace(found, name=name or found.name)
    size = reference if isinstance(reference, Mapping) else {}
    return Picture(name, sha256, None, size.get("width"), size.get("height"), gone)


def pictures_by_hash(artifacts: Iterable[Artifact], more: Iterable[Blob] = ()) -> Pictures:
    """Every picture that a run's artifacts (and other blobs of its shop) hold, by hash."""
    found = {
        artifact.blob.sha256: picture_of(artifact.blob, artifact.name)
        for artifact in artifacts
        if artifact.blob is not None and artifact.blob.media_type.startswith("image/")
    }
    for blob in more:
        found.setdefault(blob.sha256, picture_of(blob))
    return found


def summary_pictures(runs: Iterable[Run]) -> dict[Any, Pictures]:
    """For each run of a list the pictures its summary names, by name; one query for all of them."""
    named = {run.pk: RunSummary.from_json(run.summary).pictures for run in runs}
    wanted = Q(pk__in=[])
    by_shop: dict[Any, set[str]] = {}
    for run in runs:
        by_shop.setdefault(run.shop_id, set()).update(named[run.pk].values())
    for shop_id, hashes in by_shop.items():
        wanted |= Q(shop_id=shop_id, sha256__in=hashes)
    blobs = {(blob.shop_id, blob.sha256): blob for blob in Blob.objects.kept().filter(wanted).defer("body")}
    found: dict[Any, Pictures] = {}
    for run in runs:
        pairs = ((name, sha256, blobs.get((run.shop_id, sha256))) for name, sha256 in named[run.pk].items())
        found[run.pk] = {
            name: picture_of(blob, name) if blob else Picture(name, sha256) for name, sha256, blob in pairs
        }
    return found
