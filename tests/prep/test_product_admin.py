"""Products in the console: looked at, prepared, and given a merchant's statements."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from prep.models import ProductAsset
from runs.models import Run
from tests.factories import ProductAssetFactory

pytestmark = pytest.mark.django_db
LIST = "/admin/prep/productasset/"


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    return client


def test_the_list_shows_picture_status_and_facts_in_constant_queries(console: Client) -> None:
    ProductAssetFactory()
    with CaptureQueriesContext(connection) as one:
        page = console.get(LIST).content.decode()
    for _ in range(4):
        ProductAssetFactory()
    with CaptureQueriesContext(connection) as five:
        console.get(LIST)
    assert "/320/" in page
    assert "pill-ready" in page
    assert len(one) == len(five) <= 9


def test_the_page_shows_facts_and_prep_jobs(console: Client, published: None) -> None:
    asset = ProductAssetFactory()
    console.post(f"{LIST}{asset.pk}/prepare/")
    with CaptureQueriesContext(connection) as queries:
        page = console.get(f"{LIST}{asset.pk}/change/").content.decode()
    assert "2.13 m" in page
    assert f"/admin/runs/run/{asset.jobs.get().run_id}/change/" in page
    assert len(queries) <= 12


def test_a_merchants_statement_is_checked_and_kept(console: Client) -> None:
    asset = ProductAssetFactory()
    url = f"{LIST}{asset.pk}/change/"
    refused = console.post(url, {"merchant_overrides": '{"dimensions_m": {"width": 900}}'})
    assert "dimensions_m.width" in refused.content.decode()
    assert console.post(url, {"merchant_overrides": '{"mount": "wall"}'}).status_code == 302
    asset.refresh_from_db()
    assert asset.merchant_overrides == {"mount": "wall"}
    console.post(url, {"merchant_overrides": "{}"})
    asset.refresh_from_db()
    assert asset.merchant_overrides == {}


def test_selected_products_are_prepared_as_one_group(console: Client, published: None) -> None:
    assets = [ProductAssetFactory(), ProductAssetFactory()]
    busy = ProductAssetFactory(prep_status=ProductAsset.PrepStatus.PROCESSING)
    chosen = [str(asset.pk) for asset in [*assets, busy]]
    answer = console.post(LIST, {"action": "prepare_selected", "_selected_action": chosen}, follow=True)
    assert "Prep started for 2 product(s). 1 are being prepared already." in answer.content.decode()
    assert Run.objects.filter(pipeline_slug="prep").values("run_group_id").distinct().count() == 1


def test_the_button_needs_the_right_to_change_products(published: None) -> None:
    asset = ProductAssetFactory()
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_productasset"))
    client = Client()
    client.force_login(reader)
    assert client.post(f"{LIST}{asset.pk}/prepare/").status_code == 403
    assert "Prepare again" not in client.get(f"{LIST}{asset.pk}/change/").content.decode()
    assert not Run.objects.exists()


def test_a_link_cannot_start_prep(console: Client) -> None:
    assert console.get(f"{LIST}{ProductAssetFactory().pk}/prepare/").status_code == 405


def test_nobody_adds_or_deletes_products_here(console: Client) -> None:
    asset = ProductAssetFactory()
    assert console.get(f"{LIST}add/").status_code == 403
    assert console.post(f"{LIST}{asset.pk}/delete/", {"post": "yes"}).status_code == 403
