"""`manage.py composite`: the main job from a shell."""

import argparse
import mimetypes
from pathlib import Path
from typing import Any

from core.canonical import sha256_hex
from core.commands import RUN_FAILED, SeeItCommand
from core.errors import SeeItError
from core.storage import BlobStore
from imaging.photo import PRODUCT_LIMITS, PhotoError, open_photo
from prep.models import ProductAsset
from prep.services import prepare_inline, save_asset
from runs.blobs import owner_of
from runs.models import Run
from storefront.demo_shop import ensure_demo_shop
from storefront.errors import PhotoRefused
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo
from storefront.report import composite_report
from storefront.services import Tap


class Command(SeeItCommand):
    help = "Put a product into a room: prepares the product and makes the picture, in the demo shop."
    example = (
        "manage.py composite --product sofa.jpg --room room.jpg --title 'Sofa, W 213 x D 91 x H 84 cm' --out out.jpg"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--product", type=Path, required=True, metavar="FILE", help="the product's photo")
        parser.add_argument("--room", type=Path, required=True, metavar="FILE", help="the room's photo")
        parser.add_argument("--title", default="Product", help="the product's title")
        parser.add_argument("--description", default="", help="the merchant's text; dimensions are read from it")
        parser.add_argument("--product-type", default="", help="for example Sofas")
        parser.add_argument("--tap", metavar="X,Y", help="where it should stand, as fractions of the photo: 0.4,0.8")
        parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the picture")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        product, room = self._read(options["product"], "product"), self._read(options["room"], "room")
        try:
            open_photo(product, PRODUCT_LIMITS)
        except PhotoError as error:
            self.fail(f"The product photo cannot be used: {error.message}")
        tap = self._tap(options["tap"])
        try:
            shop = ensure_demo_shop()
            room_photo = store_room_photo(shop=shop, content=room)
            texts = {name: options[name] for name in ("title", "description", "product_type")}
            identity = sha256_hex(product + repr(sorted(texts.items())).encode())[:24]
            asset = save_asset(
                shop=shop,
                product_id=f"cli-{identity}",
                picture=product,
                media_type=mimetypes.guess_type(options["product"].name)[0] or "application/octet-stream",
                **texts,
            )
            prep = prepare_inline(asset, trigger="command") if not asset.is_ready else _last_prep(asset)
            if prep.status != Run.Status.COMPLETED:
                self._report(prep, prep, options)
            run = execute_composite_run(CompositeParams(asset, room_photo, tap))
        except PhotoRefused as error:
            self.fail(f"The room photo cannot be used: {error.message}")
        except SeeItError as error:
            self.fail(error.message)
        self._report(run, prep, options)

    def _read(self, path: Path, what: str) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            self.fail(f"The {what} photo {path} cannot be read: {error.strerror}.")

    def _tap(self, raw: str | None) -> Tap | None:
        if raw is None:
            return None
        try:
            x, y = (float(part) for part in raw.split(","))
        except ValueError:
            self.fail(f"--tap {raw}: expected two fractions such as 0.4,0.8.")
        if not (0 <= x <= 1 and 0 <= y <= 1):
            self.fail(f"--tap {raw}: both numbers must lie between 0 and 1, from the photo's upper left corner.")
        return Tap(x, y)

    def _report(self, run: Run, prep: Run, options: dict[str, Any]) -> None:
        """Write the picture, say what happened, and end with 3 if there is no picture."""
        out = options["out"]
        done = run.status == Run.Status.COMPLETED and run.pipeline_slug == "composite"
        if done and out is not None:
            sha256 = run.summary["pictures"]["result"]
            try:
                out.write_bytes(BlobStore().read(owner_of(run.shop_id), sha256))
            except OSError as error:
                self.fail(f"The picture cannot be written to {out}: {error.strerror}.")
        if options["json"]:
            self.print_json(composite_report(run, prep, out))
        elif done:
            self._tell(run, out)
        if not done:
            self.fail(f"{run.error_code}: {run.error_message} (run {run.id})", RUN_FAILED)

    def _tell(self, run: Run, out: Path | None) -> None:
        for step in run.steps.all():
            self.stdout.write(f"{step.node_key:<10} {step.latency_ms or 0:>6} ms  {step.why}")
        self.stdout.write(f"Run        {run.id}")
        self.stdout.write(f"Picture    {out}" if out else "Picture    not written; give --out FILE")


def _last_prep(asset: ProductAsset) -> Run:
    job = asset.jobs.select_related("run").order_by("-id").first()
    assert job is not None, "a ready asset was made ready by a job"
    return job.run
