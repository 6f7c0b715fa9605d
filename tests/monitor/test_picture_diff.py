"""Where two pictures differ, and how much of them."""

import base64
import io

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image

from monitor.picture_diff import diff_pictures
from runs.models import Blob
from tests.factories import cutout_png, room_jpeg
from tests.monitor.factories import RunFactory, blob

GREY = np.full((60, 80, 4), (120, 120, 120, 255), np.uint8)


def picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels)


def test_a_square_that_changed_is_found_measured_and_lit() -> None:
    changed = GREY.copy()
    changed[30:45, 20:40, 0] += 40
    diff = diff_pictures(picture(GREY), picture(changed))
    assert diff.changed == pytest.approx(15 * 20 / (60 * 80))
    assert (diff.strongest, diff.scaled, diff.same) == (40, False, False)
    assert diff.box == (20 / 80, 30 / 60, 40 / 80, 45 / 60)
    drawn = np.asarray(Image.open(io.BytesIO(diff.picture)).convert("L"), int)
    assert drawn[35:40, 25:35].min() > 180 > 60 > drawn[:20].max(), "bright where it changed, dim elsewhere"


def test_noise_below_what_is_visible_counts_as_nothing() -> None:
    noisy = GREY.copy()
    noisy[..., 1] += 5
    diff = diff_pictures(picture(GREY), picture(noisy))
    assert (diff.changed, diff.box, diff.strongest, diff.mean) == (0, None, 5, 5)


def test_transparency_is_a_difference_and_colours_under_it_are_none() -> None:
    hidden, other = GREY.copy(), GREY.copy()
    hidden[:30, :, 3] = 0
    other[:30] = (255, 0, 0, 0)
    assert diff_pictures(picture(hidden), picture(other)).same
    assert diff_pictures(picture(GREY), picture(hidden)).changed == 0.5


def test_a_picture_of_another_size_is_scaled_and_said_to_be() -> None:
    diff = diff_pictures(picture(GREY), picture(GREY).resize((160, 120)))
    assert (diff.scaled, diff.same) == (True, True)


@pytest.mark.django_db
def test_the_page_gets_numbers_and_a_map_and_words_for_what_is_gone(console: Client) -> None:
    run = RunFactory()
    old = blob(run, room_jpeg(seed=1), "image/jpeg")
    new = blob(run, cutout_png())
    args = [str(old.pk), str(new.pk)]
    answer = console.get(reverse("admin:monitor_difference", args=args))
    said = answer.content.decode()
    assert "B was scaled to A" in said and "amplified 8 times" in said
    drawn = base64.b64decode(said.split("data:image/webp;base64,")[1].split('"')[0])
    assert Image.open(io.BytesIO(drawn)).format == "WEBP"
    assert "immutable" in answer["Cache-Control"] and "no-store" not in answer["Cache-Control"], "it is made once"
    same = console.get(reverse("admin:monitor_difference", args=[args[0], args[0]])).content.decode()
    assert "Every pixel is the same" in same
    broken = blob(run, b"no picture at all", "image/png")
    said = console.get(reverse("admin:monitor_difference", args=[args[0], str(broken.pk)])).content.decode()
    assert "cannot be read any more" in said
    Blob.objects.filter(pk=new.pk).update(condemned_at=run.created_at)
    assert console.get(reverse("admin:monitor_difference", args=args)).status_code == 404
