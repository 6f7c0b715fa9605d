"""`manage.py cutout`: background removal alone."""

import argparse
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync

from core.canonical import sha256_hex
from core.commands import RUN_FAILED, SeeItCommand
from imaging.photo import decode
from prep.cutouts import FoundCutout, cutout_by_matte, in_words, matte_in, own_cutout, whole_cutout
from prep.stages import normalise_product
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
        found = own_cutout(content) or self._ask(Image("product", content, media_type))
        if found.accepted:
            self._write(options["out"], found.content)
        if options["json"]:
            path = str(options["out"]) if found.accepted else None
            told = {name: getattr(found, name) for name in ("accepted", "warnings", "crop", "signals")}
            self.print_json({**told, "sha256": sha256_hex(found.content), "path": path})
        if not found.accepted:
            reasons = in_words(found.warnings)
            self.fail(f"cutout_rejected: {reasons}; use a photo on a plain background.", RUN_FAILED)
        if not options["json"]:
            self.stdout.write(self._summary(options["out"], found))

    def _ask(self, photo: Image) -> FoundCutout:
        """The first cutout that can be trusted along the routes, or the last one that cannot."""
        deps, found, failure = default_deps(), None, ""
        for route in deps.routes.for_task("cutout"):
            call = Call("cutout", route.model, images=(photo,), params=route.params)
            try:
                reply = async_to_sync(deps.vendors[route.vendor].call)(call)
                found = whole_cutout(reply) or cutout_by_matte(photo.content, *matte_in(reply))
            except (VendorError, AttemptFailed) as error:
                failure = f"{error.code}: {error.message}"
                continue
            if found.accepted:
                break
        if found is None:
            self.fail(failure, RUN_FAILED)
        return found

    def _summary(self, path: Path, found: FoundCutout) -> str:
        """What was done, in a line."""
        height, width = decode(found.content).shape[:2]
        doubts = f" Note: {in_words(found.warnings)}." if found.warnings else ""
        how = "kept its own transparency" if found.signals.get("merchant_alpha") else "removed the background"
        return f"Wrote {path} ({width} x {height} px): {how}.{doubts}"

    def _write(self, path: Path, content: bytes) -> None:
        try:
            path.write_bytes(content)
        except OSError as error:
            self.fail(f"The cutout cannot be written to {path}: {error.strerror}.")
