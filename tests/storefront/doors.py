"""A shop's page as the API sees it: key, origin, and the calls the widget makes."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from prep.models import ProductAsset
from runs.blobs import store_blob
from runs.models import Artifact, Blob, Run, Step, StepPayload
from shops.models import Shop
from storefront.endings import record_result, settle_composite
from storefront.models import CompositeRun
from tests.factories import ApiKeyFactory, ProductAssetFactory, room_jpeg

PIPELINE_FILE = Path(__file__).parents[2] / "storefront" / "pipelines" / "composite.json"
API = "/proxy/v1"
PLACEMENT = {
    "id": "p1",
    "mount": "floor",
    "box": {"x0": 0.3, "y0": 0.5, "x1": 0.7, "y1": 0.9},
    "contact": {"x": 0.5, "y": 0.9},
    "px_per_m": 120.0,
    "distance_m": 3.1,
    "yaw_deg": 0.0,
    "confidence": 0.8,
    "why": "free floor",
}


@dataclass
class Page:
    """One page of one shop, with the key it carries."""

    shop: Shop
    key: str
    origin: str
    client: Client = field(default_factory=Client)

    @classmethod
    def of(cls, shop: Shop, **client: Any) -> "Page":
        """A page on the shop's own origin, with a new key."""
        return cls(shop, ApiKeyFactory.create(shop=shop).plain, shop.allowed_origins[0], Client(**client))

    def call(self, method: str, path: str, data: Any = None, **headers: str) -> HttpResponse:
        """A JSON request as the widget sends it."""
        sent = {"Authorization": f"Bearer {self.key}", "Origin": self.origin, **_header_names(headers)}
        return self.client.generic(
            method, path, b"" if data is None else _json(data), "application/json", headers=_present(sent)
        )

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.call("GET", f"{API}/{path}", **headers)

    def post(self, path: str, data: Any, **headers: str) -> HttpResponse:
        return self.call("POST", f"{API}/{path}", data, **headers)

    def delete(self, path: str, **headers: str) -> HttpResponse:
        return self.call("DELETE", f"{API}/{path}", **headers)

    def post_photo(self, asset: ProductAsset, photo: bytes, name: str = "room.jpg", **fields: Any) -> HttpResponse:
        """A composite asked for in one multipart request."""
        headers = {"Authorization": f"Bearer {self.key}", "Origin": self.origin}
        headers |= _header_names(fields.pop("headers", {}))
        form = {"product_id": asset.product_id, "consent": "true", **fields}
        form["room_photo"] = SimpleUploadedFile(name, photo, "image/jpeg")
        return self.client.post(f"{API}/composites", form, headers=headers)

    def upload(self, photo: bytes) -> str:
        """A photo announced and brought; its upload id."""
        announced = self.post("uploads", {"content_type": "image/jpeg", "bytes": len(photo)}).json()["data"]
        assert self.put(announced["url"], photo).status_code == 204
        return str(announced["upload_id"])

    def put(self, url: str, photo: bytes, **extra: Any) -> HttpResponse:
        """The photo brought to its one-time URL, without any key."""
        return self.client.put(url, photo, "image/jpeg", **extra)

    def ask(self, asset: ProductAsset, upload_id: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
        """A composite asked for by upload."""
        body = {"product_id": asset.product_id, "upload_id": upload_id, "consent": True, **more}
        return self.post("composites", body, **(headers or {}))


def a_page(**shop: Any) -> tuple[Page, ProductAsset]:
    """A page of a shop with one ready product."""
    asset = ProductAssetFactory.create(**{f"shop__{name}": value for name, value in shop.items()})
    return Page.of(asset.shop), asset


def code_of(response: HttpResponse) -> tuple[int, str]:
    """Status and error code of a bad answer, whose whole shape is checked on the way."""
    body = response.json()
    assert body["ok"] is False
    assert {"code", "message", "retryable", "request_id"} <= set(body["error"])
    assert body["error"]["request_id"] == response["X-Request-ID"] != ""
    assert len(body["error"]["message"]) > 10
    return response.status_code, body["error"]["code"]


def finish(composite: CompositeRun, *, picture: bytes | None = None) -> Blob:
    """The run ended well, as the engine would write it; returns the picture's blob."""
    run = composite.run
    content = picture or room_jpeg(seed=7)
    blob = store_blob(shop=composite.shop, content=content, media_type="image/jpeg", retention=Blob.Retention.SHOPPER)
    Artifact.objects.create(run=run, role=Artifact.Role.RESULT, name="result", blob=blob)
    select = Step.objects.get(run=run, node_key="select")
    Step.objects.filter(pk=select.pk).update(status=Step.Status.COMPLETED, drop_ratio=0.5)
    StepPayload.objects.create(step=select, ir={"selected": PLACEMENT})
    record_result(run=run, blob=blob)
    _end(run, Run.Status.COMPLETED, phase="composite")
    return blob


def fail(composite: CompositeRun, code: str, message: str = "Internal words.") -> None:
    """The run ended badly, as the engine would write it."""
    _end(composite.run, Run.Status.FAILED, error_code=code, error_message=message, phase="select")


def _end(run: Run, status: str, **changes: Any) -> None:
    Run.objects.filter(pk=run.pk).update(status=status, finished_at=timezone.now(), **changes)
    run.refresh_from_db()
    with transaction.atomic():
        settle_composite(run=run)


def hold(composite: CompositeRun, phase: str) -> None:
    """A worker is at this node."""
    Run.objects.filter(pk=composite.pk).update(
        status=Run.Status.RUNNING, phase=phase, lease_until=timezone.now() + timedelta(hours=1)
    )


def _json(data: Any) -> bytes:
    return data if isinstance(data, bytes) else json.dumps(data).encode()


def _header_names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _present(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if value is not None}
