"""The demo shop's pages, as Django serves them from the database."""

import json
from html import unescape
from html.parser import HTMLParser
from io import BytesIO

import pytest
from django.test import Client
from PIL import Image

from imaging.photo import PhotoLimits, open_photo
from imaging.placement import Product, judge, propose
from imaging.room import read_room
from shops.models import ApiKey, Shop
from storefront.demo_catalog import FOLDER, DemoProduct, DemoRoom, load_catalog
from storefront.demo_shop import ensure_demo_key, ensure_demo_shop, seed_products

pytestmark = pytest.mark.django_db


class ButtonFinder(HTMLParser):
    """The attributes of the See It button."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.button: dict[str, str | None] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if ("data-seeit", None) in attrs:
            self.button = dict(attrs)


def size_of(product: DemoProduct) -> Product:
    """The size that the product's page states; prints hang, everything else stands."""
    said = dict(product.dimensions)
    width, depth, height = (
        float(said.get(side, "0 cm").removesuffix(" cm")) / 100 for side in ("Width", "Depth", "Height")
    )
    mount = "floor" if depth else "wall"
    return Product.of_sides(width, depth or None, height, mount=mount, aspect=width / height, kind=product.product_type)


@pytest.fixture
def shop() -> Shop:
    """The demo shop with its products and key."""
    shop = ensure_demo_shop()
    ensure_demo_key(shop, ["http://testserver"])
    seed_products(shop)
    return shop


def test_the_front_page_shows_every_product_with_its_price(client: Client, shop: Shop) -> None:
    page = unescape(client.get("/demo/").content.decode())
    assert [each.handle for each in load_catalog().products if f"/demo/products/{each.handle}/" not in page] == []
    assert "€1,249" in page


def test_a_product_page_carries_the_button_with_product_key_and_sample_rooms(client: Client, shop: Shop) -> None:
    button = ButtonFinder(client.get("/demo/products/halden-sofa/").content.decode()).button
    key = ApiKey.objects.publishable_for(shop).get()
    assert button["data-product"] == "8411001"
    assert button["data-key"] == key.publishable_value
    assert button["data-api"] == "/proxy/v1/"
    assert button["data-store"] == shop.name
    rooms = json.loads(button["data-samples"] or "")
    assert [room["title"] for room in rooms] == ["Empty room", "Living room"]


def test_a_product_that_every_sample_room_has_space_for_is_offered_them_all(client: Client, shop: Shop) -> None:
    button = ButtonFinder(client.get("/demo/products/marlow-chair/").content.decode()).button
    rooms = json.loads(button["data-samples"] or "")
    assert [room["title"] for room in rooms] == ["Empty room", "Living room", "Bedroom", "Evening room"]


@pytest.mark.parametrize("room", [load_catalog().rooms[at] for at in (0, 2, 3)], ids=lambda room: room.title)
def test_a_sample_room_is_offered_for_just_the_products_that_fit_into_it(room: DemoRoom) -> None:
    photo = open_photo(room.photo_path.read_bytes(), PhotoLimits())
    scene = read_room(photo.pixels, photo.f35_mm)
    crowded = [
        product.handle
        for product in load_catalog().products
        if not any(verdict.accepted for verdict in judge(scene, size_of(product), propose(scene, size_of(product))))
    ]
    assert crowded == list(room.too_small_for)


def test_every_picture_a_page_names_is_served(client: Client, shop: Shop) -> None:
    button = ButtonFinder(client.get("/demo/products/terra-forms-print/").content.decode()).button
    rooms = json.loads(button["data-samples"] or "")
    addresses = [address for room in rooms for address in (room["url"], room["thumb"])]
    addresses += [f"/demo/pictures/{path}" for path in load_catalog().pictures()]
    formats = {Image.open(BytesIO(client.get(address).getvalue())).format for address in addresses}
    assert formats == {"JPEG", "PNG"}


@pytest.mark.parametrize(
    "path", ["catalog.json", "../settings.py", "rooms/../catalog.json", "rooms/", "products/x.jpg"]
)
def test_nothing_but_the_catalogues_pictures_is_served(client: Client, path: str) -> None:
    assert client.get(f"/demo/pictures/{path}").status_code == 404


def test_an_unknown_product_gets_the_shops_own_page(client: Client, shop: Shop) -> None:
    reply = client.get("/demo/products/no-such-thing/")
    assert reply.status_code == 404
    assert "This piece has left the shop" in reply.content.decode()


def test_before_it_is_set_up_the_shop_says_so(client: Client) -> None:
    assert "The shop is being set up" in client.get("/demo/").content.decode()
    assert client.get("/demo/products/halden-sofa/").status_code == 404


def test_a_title_from_the_database_is_escaped(client: Client, shop: Shop) -> None:
    shop.assets.filter(handle="halden-sofa").update(title="<script>alert(1)</script>")
    pages = [client.get(path).content.decode() for path in ("/demo/", "/demo/products/halden-sofa/")]
    assert [page for page in pages if "<script>alert" in page] == []


def test_the_pages_only_read(client: Client, shop: Shop) -> None:
    assert client.post("/demo/").status_code == 405


def test_the_sample_rooms_keep_their_cameras_focal_length() -> None:
    lengths = [Image.open(room.photo_path).getexif().get_ifd(0x8769)[0xA405] for room in load_catalog().rooms]
    assert lengths == [24, 26, 26, 27]


def test_the_prints_own_cutout_is_what_the_shop_gives() -> None:
    prints = [each for each in load_catalog().products if each.alpha]
    alphas = [Image.open(each.photo_path).getchannel("A").getextrema() for each in prints]
    assert alphas == [(0, 255)]


def test_the_demo_pictures_weigh_less_than_a_megabyte_and_a_half() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 1_500_000
