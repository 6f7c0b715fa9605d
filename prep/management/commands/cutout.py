"""`manage.py cutout`: background removal alone."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync

from core.canonical import sha256_hex
from core.commands import RUN_FAILED, SeeItCommand
from imaging.photo import decode
from prep.stages import in_words, normalise_product
from runs.errors import AttemptFailed
from runs.inline import default_deps
from vendors.base import Call, Image, VendorError


class Command(SeeItCommand):
    help = "Remove the background of a product photo. A cutout that cannot be trusted is not written."
    example = "manage.py cutout sofa.jpg --out sofa.png"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="the product's photo")
        parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="where to write the cutout")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            content, media_type, _ = normalise_product(options["file"].read_bytes())
        except OSError as error:
            self.fail(f"{options['file']} cannot be read: {error.strerror}.")
        except AttemptFailed as error:
            self.fail(f"{error.code}: {error.message}")
        deps = default_deps()
        route = deps.routes.for_task("cutout")[0]
        call = Call("cutout", route.model, images=(Image("product", content, media_type),), params=route.params)
        try:
            reply = async_to_sync(deps.vendors[route.vendor].call)(call)
        except VendorError as error:
            self.fail(f"{error.code}: {error.message}", RUN_FAILED)
        picture = next(image for image in reply.images if image.role == "cutout")
        accepted = bool(reply.data["accepted"])
        if accepted:
            self._write(options["out"], picture.content)
        if options["json"]:
            self.print_json(
                {**reply.data, "sha256": sha256_hex(picture.content), "path": str(options["out"]) if accepted else None}
            )
        if not accepted:
            reasons = in_words(reply.data["warnings"])
            self.fail(f"cutout_rejected: {reasons}; use a photo on a plain background.", RUN_FAILED)
        if not options["json"]:
            self.stdout.write(self._summary(options["out"], reply.data, picture.content))

    def _summary(self, path: Path, data: Mapping[str, Any], content: bytes) -> str:
        """What was done, in a line."""
        height, width = decode(content).shape[:2]
        doubts = f" Note: {in_words(data['warnings'])}." if data["warnings"] else ""
        how = "kept its own transparency" if data.get("signals", {}).get("merchant_alpha") else "removed the background"
        return f"Wrote {path} ({width} x {height} px): {how}.{doubts}"

    def _write(self, path: Path, content: bytes) -> None:
        try:
            path.write_bytes(content)
        except OSError as error:
            self.fail(f"The cutout cannot be written to {path}: {error.strerror}.")
