"""The console's pages for schemas, metrics and profiles, as an operator uses them."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from irschemas.models import IRSchema, MetricDefinition, MetricProfile
from irschemas.publishing import sync_library

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    """A signed-in superuser."""
    client.force_login(User.objects.create_superuser("operator"))
    return client


def test_nobody_deletes_a_schema_a_metric_or_a_profile(operator: Client) -> None:
    sync_library()
    for model in (IRSchema, MetricDefinition, MetricProfile):
        name = f"admin:irschemas_{model._meta.model_name}_delete"
        assert operator.post(reverse(name, args=[model.objects.first().pk])).status_code == 403


def test_every_page_of_the_library_opens(operator: Client) -> None:
    sync_library()
    for model in (IRSchema, MetricDefinition, MetricProfile):
        kind = model._meta.model_name
        assert operator.get(reverse(f"admin:irschemas_{kind}_changelist")).status_code == 200
        assert (
            operator.get(reverse(f"admin:irschemas_{kind}_change", args=[model.objects.first().pk])).status_code == 200
        )


def test_a_threshold_can_be_edited_and_its_profile_keeps_its_key(operator: Client) -> None:
    sync_library()
    profile = MetricProfile.objects.get(key="split_profile_v1")
    items = list(profile.items.all())
    form = {
        "key": "other_v1",
        "description": "Mine",
        "items-TOTAL_FORMS": len(items),
        "items-INITIAL_FORMS": len(items),
    }
    for index, item in enumerate(items):
        form |= {
            f"items-{index}-id": item.pk,
            f"items-{index}-profile": profile.pk,
            f"items-{index}-metric": item.metric_id,
            f"items-{index}-threshold": 0.5,
            f"items-{index}-weight": 1,
        }
    operator.post(reverse("admin:irschemas_metricprofile_change", args=[profile.pk]), form, follow=True)
    profile.refresh_from_db()
    assert (profile.key, profile.description) == ("split_profile_v1", "Mine")
    assert {item.threshold for item in profile.items.all()} == {0.5}
