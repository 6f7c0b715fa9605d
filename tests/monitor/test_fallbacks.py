"""A run that was answered by another model than it should have been says so, on its page and in the list."""

import pytest
from django.test import Client

from tests.monitor.factories import composite_run

pytestmark = pytest.mark.django_db


def test_page_and_list_name_who_should_have_answered(console: Client) -> None:
    run = composite_run()
    run.summary |= {"models": {"composite": "local/local-1"}, "fallbacks": {"composite": "gemini/banana"}}
    run.save()
    page = console.get(f"/admin/runs/run/{run.pk}/change/").content.decode()
    assert "composite: local/local-1 instead of gemini/banana" in page
    assert "fell back: composite" in console.get("/admin/runs/run/").content.decode()


def test_a_node_that_a_run_went_on_without_stands_in_the_list(console: Client) -> None:
    run = composite_run(degraded=True)
    run.summary |= {"degraded": ["shadow_check"]}
    run.save()
    page = console.get("/admin/runs/run/").content.decode()
    assert "without shadow check" in page and "fell back" not in page
