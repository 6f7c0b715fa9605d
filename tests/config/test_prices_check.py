"""The check of the price table: what cannot be read, and what is routed to without a price."""

from pathlib import Path
from typing import Any

from config.checks import check_own_server, check_prices

TASKS = ("cutout", "facts", "placement", "composite")


def routed_to(folder: Path, vendor: str, model: str) -> Path:
    path = folder / "models.toml"
    path.write_text("".join(f'[[tasks.{task}]]\nvendor = "{vendor}"\nmodel = "{model}"\n' for task in TASKS))
    return path


def test_the_default_routes_have_prices() -> None:
    assert check_prices() == []


def test_a_model_without_a_price_is_named_once(settings: Any, tmp_path: Path) -> None:
    settings.MODEL_ROUTES = routed_to(tmp_path, "gemini", "gemini-9-ultra")
    settings.VENDORS = {"GEMINI_API_KEY": "a-key-for-tests"}
    (warning,) = check_prices()
    assert (warning.id, warning.msg) == (
        "seeit.W003",
        "gemini/gemini-9-ultra has no price; what it costs will be unknown.",
    )


def test_a_server_of_ones_own_wants_routes_of_ones_own(settings: Any, tmp_path: Path) -> None:
    settings.VENDORS = {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}
    assert [warning.id for warning in check_own_server()] == ["seeit.W004"]
    settings.MODEL_ROUTES = routed_to(tmp_path, "openai", "llama4")
    assert check_own_server() == []


def test_a_table_that_cannot_be_read_is_an_error_that_names_the_place(settings: Any, tmp_path: Path) -> None:
    settings.MODEL_PRICES = tmp_path / "mine.toml"
    settings.MODEL_PRICES.write_text('[[prices]]\nvendor = "gemini"\n')
    (error,) = check_prices()
    assert error.id == "seeit.E005"
    assert "mine.toml: prices.0." in error.msg
