"""What an image model sent, on the run page: every picture on its way, and why it was shown or not."""

import re

import pytest
from django.test import Client

from tests.factories import room_jpeg
from tests.monitor.factories import MetricFactory, RunErrorFactory, artifact, composite_run

pytestmark = pytest.mark.django_db


def shown(console: Client, run: object) -> str:
    answer = console.get(f"/admin/runs/run/{run.pk}/change/")  # type: ignore[attr-defined]
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def test_attempts_of_image_models_show_their_pictures_and_why_they_were_refused(console: Client) -> None:
    run = composite_run()
    step = run.steps.get(node_key="composite")
    step.vendor, step.attempt, step.why = "local", 3, "Our own composite, after 2 attempts <b>."
    step.save()
    run.artifacts.filter(step=step).update(attempt=3)
    raw = room_jpeg(300, 300, seed=1)
    for name, role in (("guide", "image"), ("raw", "image"), ("result", "image")):
        artifact(run, name, raw, "image/jpeg", step=step, attempt=1, role=role)
    for name, role in (("raw", "image"), ("aligned", "image"), ("kept", "image"), ("result", "result")):
        artifact(run, name, room_jpeg(320, 240, seed=len(name)), "image/jpeg", step=step, attempt=2, role=role)
    asked = {"step": step, "vendor": "gemini", "model": "painter"}
    RunErrorFactory(**asked, attempt=1, code="picture_refused", message="It is cropped <i>.")
    RunErrorFactory(**asked, attempt=2, code="gate_rejected", message="outside_drift")
    MetricFactory(step=step, attempt=2, key="outside_drift", value=62.9, threshold=6.5, passed=False)
    page = shown(console, run)
    first, second = (part.split("</section>")[0] for part in page.split('<section class="painted"')[1:])
    assert "gemini/painter" in first and "not the photo" in first and "It is cropped &lt;i&gt;." in first
    assert re.findall(r"<figcaption>([a-z ]+)", first) == ["the guide it was given", "what it sent "]
    assert "rejected by the gate" in second and "62.9" in second and "6.5" in second
    assert re.findall(r"<figcaption>([a-z ]+)", second) == [
        "what it sent ", "laid over the photo", "what is kept of it", "room restored",
    ]  # fmt: skip
    assert "fallback</span> Our own composite, after 2 attempts &lt;b&gt;." in page


def test_our_own_composites_show_nothing_of_that(console: Client) -> None:
    page = shown(console, composite_run())
    assert "painted" not in page and "fallback" not in page
