"""Keys stay out of log lines, wherever they stand in them."""

import json
import logging.config
from collections.abc import Iterator

import pytest
from django.conf import settings

from config.logs import logging_config

KEY = "AIza" + "x" * 35


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    yield
    logging.config.dictConfig(settings.LOGGING)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_key_in_a_message_a_field_or_a_traceback_is_blanked(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.config.dictConfig(logging_config(log_format, "INFO"))
    try:
        raise RuntimeError(f"GET https://models.test/{KEY} failed")
    except RuntimeError:
        logging.getLogger("runs.test").exception("asked with %s", KEY, extra={"error": f"with {KEY}"})
    lines = capsys.readouterr().err
    assert "RuntimeError" in lines and "failed" in lines
    assert KEY not in lines
    if log_format == "json":
        assert json.loads(lines)["level"] == "error"
