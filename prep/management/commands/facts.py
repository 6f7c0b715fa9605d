"""`manage.py facts`: what a merchant's texts say about a product, by the rules, without a run or a database."""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync

from core.commands import SeeItCommand
from prep.cutouts import in_words
from prep.facts import SIDES, size_text
from prep.stages import normalise_product
from runs.errors import StageError
from vendors.base import Call, Image, Rejected
from vendors.local.vendor import MODEL, LocalVendor

TEXTS = ("title", "description", "product_type")


class Command(SeeItCommand):
    help = "Read a product's size, mount, materials and colours from its texts (and photo), by the rules."
    example = "manage.py facts --title 'Halden Sofa' --description '84\" W x 36\" D x 33\" H' --json"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        for name in TEXTS:
            parser.add_argument(f"--{name.replace('_', '-')}", metavar=name[0].upper(), help=f"the product's {name}")
        parser.add_argument("--image", type=Path, metavar="FILE", help="the product's photo, for shape and colours")
        parser.add_argument(
            "--texts", type=Path, metavar="FILE.jsonl", help="a product per line: {title, description, product_type}"
        )
        parser.add_argument("--json", action="store_true", help="print ProductFacts, one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        given = {name: options[name] for name in TEXTS if options.get(name) is not None}
        if options["texts"] is not None:
            if given or options["image"]:
                self.fail("--texts takes the place of --title, --description, --product-type and --image.")
            for facts in self._all(options["texts"]):
                self._show(facts, as_json=options["json"])
            return
        empty = [f"--{name.replace('_', '-')}" for name, text in given.items() if not text.strip()]
        if empty:
            self.fail(f"{empty[0]} is empty; give the product's words, or leave it out.")
        if not given and not options["image"]:
            self.fail("Give --title, --description or --product-type, --image, or --texts. See --help.")
        self._show(self._facts(given, self._cutout(options["image"])), as_json=options["json"])

    def _all(self, path: Path) -> list[dict[str, Any]]:
        """The facts of every line, read before any is printed: a file with a fault gives one message and no output."""
        try:
            return [self._facts(row, None, f"{path}, line {number}: ") for number, row in self._rows(path)]
        except OSError as error:
            self.fail(f"{path} cannot be read: {error.strerror}.")

    def _rows(self, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line.decode("utf-8-sig"))
                except (ValueError, RecursionError):
                    self.fail(f"{path}, line {number}: not a line of JSON in UTF-8.")
                if not isinstance(row, dict):
                    self.fail(f"{path}, line {number}: a JSON object is expected, such as {{'title': 'Vase'}}.")
                # A shop's export writes null for a text that is not there.
                yield number, {name: value for name, value in row.items() if value is not None}

    def _facts(self, texts: Mapping[str, Any], cutout: Image | None, place: str = "") -> dict[str, Any]:
        call = Call("facts", MODEL, variables=texts, images=(cutout,) if cutout else ())
        try:
            return dict(async_to_sync(LocalVendor().call)(call).data)
        except Rejected as error:
            self.fail(f"{place}{error.message}")

    def _cutout(self, path: Path | None) -> Image | None:
        """The product cut out of its photo; None (and a note) where that cannot be trusted: the texts still speak."""
        if path is None:
            return None
        try:
            content, media_type, _ = normalise_product(path.read_bytes())
        except OSError as error:
            self.fail(f"{path} cannot be read: {error.strerror}.")
        except StageError as error:
            self.fail(f"{error.code}: {error.message}")
        photo = Image("product", content, media_type)
        reply = async_to_sync(LocalVendor().call)(Call("cutout", MODEL, images=(photo,)))
        if not reply.data["accepted"]:
            self.stderr.write(f"Note: the photo is not used, {in_words(reply.data['warnings'])}.")
            return None
        return next(image for image in reply.images if image.role == "cutout")

    def _show(self, facts: Mapping[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.print_json(facts)
            return
        estimated = [side for side in SIDES if facts["dimension_sources"][side] == "estimated"]
        size = size_text(facts) or "size unknown"
        noted = f" (estimated: {', '.join(estimated)})" if estimated else ""
        doubts = "".join(f"\n  {item['field']}: {item['why']}" for item in facts["conflicts"])
        self.stdout.write(f"{facts['product_type'] or 'product'}, {facts['mount']}, {size}{noted}{doubts}")
