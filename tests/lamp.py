"""What the complaint is about: a floor lamp, a small photo of a room, and a patch that takes the lamp's shadow."""

import io

from PIL import Image, ImageDraw

from prep.models import ProductAsset
from prompts.library import library
from prompts.models import PromptOverride
from prompts.services import create_override
from runs.blobs import store_blob
from runs.models import Blob
from shops.models import Shop
from storefront.demo_catalog import load_catalog
from tests.factories import FACTS, ProductAssetFactory

TITLE = "Paper floor lamp"
FAINT = 0.04  # of the shadow it should have: the gate lets it pass, a shopper sees a lamp that floats
ENOUGH = 0.8  # still soft, and it stands


def lamp_asset(shop: Shop) -> ProductAsset:
    """A ready product: a column of paper on a heavy base, 1.55 m high."""
    facts = {**FACTS, "title": TITLE, "product_type": "Floor lamp", "materials": ["paper", "steel"],
             "dimensions_m": {"width": 0.42, "depth": 0.42, "height": 1.55}}  # fmt: skip
    prompt = library().production("facts_extraction")
    cutout = store_blob(shop=shop, content=lamp_png(), media_type="image/png", retention=Blob.Retention.KEEP)
    return ProductAssetFactory(
        shop=shop, title=TITLE, product_type="Floor lamp", description="42 x 42 x 155 cm.", extracted_facts=facts,
        cutout=cutout, facts_version=prompt.version, facts_prompt_sha256=prompt.sha256,
    )  # fmt: skip


def lamp_png() -> bytes:
    """The lamp on transparent ground, 168 x 620 px, its outline soft as a photo's is."""
    big = 4
    shape = Image.new("RGBA", (168 * big, 620 * big), (120, 110, 96, 0))
    draw = ImageDraw.Draw(shape)
    draw.rounded_rectangle((22 * big, 6 * big, 146 * big, 566 * big), 40 * big, fill=(206, 188, 152, 255))
    draw.rectangle((22 * big, 300 * big, 146 * big, 306 * big), fill=(150, 132, 102, 255))
    draw.ellipse((12 * big, 548 * big, 156 * big, 612 * big), fill=(88, 82, 76, 255))
    out = io.BytesIO()
    shape.resize((168, 620), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()


def small_room(width: int = 480) -> bytes:
    """The demo's first room, small, with its camera's EXIF."""
    with Image.open(load_catalog().rooms[0].photo_path) as photo:
        exif = photo.info.get("exif", b"")
        photo.thumbnail((width, width))
        out = io.BytesIO()
        photo.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


def faint_shadow(shop: Shop) -> PromptOverride:
    """A colleague's patch of the `composite` prompt, meant well."""
    text = library().production("composite").template.replace("shadow: 1.0", f"shadow: {FAINT}")
    return create_override(
        shop=shop, prompt_name="composite", template=text, reason="Softer look for the sale", created_by="ada"
    )
