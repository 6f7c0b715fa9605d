"""Which prompt a shop gets: override, experiment, production, in that order."""

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.canonical import sha256_hex
from prompts.errors import PromptError, PromptHeaderInvalid, PromptNotFound
from prompts.library import Library, library
from prompts.selection import (
    LiveOverride,
    complete_edit,
    edited_selection,
    in_experiment,
    library_selection,
    select_prompt,
)
from tests.prompts.samples import SMALL

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
TEXT = complete_edit("placement", "---\nparams: {prefer: left}\n---\n").template
OVERRIDE = LiveOverride("01JOVERRIDE", "placement", TEXT, "v3", NOW + timedelta(hours=1))


def test_a_shop_gets_production() -> None:
    selection = select_prompt("placement", shop_key="a", features={}, override=None, now=NOW)
    assert (selection.version, selection.source, selection.override_id) == ("v3", "library", None)
    assert selection.sha256 == sha256_hex(selection.template.encode()) == library().get("placement", "v3").sha256
    assert selection.ir_schema == "stage:placement"


def test_the_feature_flag_gives_the_experimental_version() -> None:
    features = {"experimental_prompts": True}
    versions = {
        name: select_prompt(name, shop_key="a", features=features, override=None, now=NOW).version
        for name in library().names()
    }
    assert versions == {"facts_extraction": "v3", "placement": "v4", "composite": "v2"}


@pytest.mark.parametrize("flag", [False, None, "true", 1])
def test_only_a_true_flag_counts(flag: object) -> None:
    features = {"experimental_prompts": flag}
    assert select_prompt("placement", shop_key="a", features=features, override=None, now=NOW).version == "v3"


def test_an_override_beats_the_experiment() -> None:
    features = {"experimental_prompts": True}
    selection = select_prompt("placement", shop_key="a", features=features, override=OVERRIDE, now=NOW)
    assert (selection.source, selection.base_version, selection.override_id) == ("override", "v3", "01JOVERRIDE")
    assert selection.version == f"sha256:{sha256_hex(TEXT.encode())[:12]}"
    assert selection.params["prefer"] == "left"


def test_an_override_ends_in_the_very_second_of_its_expiry() -> None:
    def source(now: datetime) -> str:
        return select_prompt("placement", shop_key="a", features={}, override=OVERRIDE, now=now).source

    assert source(OVERRIDE.expires_at - timedelta(seconds=1)) == "override"
    assert source(OVERRIDE.expires_at) == "library"


def test_an_override_of_another_prompt_is_not_used() -> None:
    assert select_prompt("composite", shop_key="a", features={}, override=OVERRIDE, now=NOW).source == "library"


def test_an_override_with_a_library_text_is_named_by_its_version() -> None:
    text = library().get("placement", "v2").template
    override = LiveOverride("x", "placement", text, "v2", NOW + timedelta(hours=1))
    selection = select_prompt("placement", shop_key="a", features={}, override=override, now=NOW)
    assert (selection.version, selection.source) == ("v2", "override")


def test_an_unknown_prompt_is_refused() -> None:
    with pytest.raises(PromptNotFound):
        select_prompt("nonsense", shop_key="a", features={}, override=None, now=NOW)


def test_selections_and_overrides_travel_between_processes() -> None:
    selection = select_prompt("placement", shop_key="a", features={}, override=OVERRIDE, now=NOW)
    assert pickle.loads(pickle.dumps(selection)) == selection
    assert pickle.loads(pickle.dumps(OVERRIDE)) == OVERRIDE


@pytest.fixture
def trial(tmp_path: Path) -> Library:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "v1.prompt").write_text(SMALL)
    (tmp_path / "small" / "v2.prompt").write_text(SMALL.replace("A small", "A newer"))
    (tmp_path / "releases.toml").write_text(
        '[small]\nproduction = "v1"\nexperimental = "v2"\nexperiment = "spring"\nshare = 0.2\n'
    )
    return library(tmp_path)


def test_a_share_of_the_shops_is_in_the_experiment_and_stays_in_it(trial: Library) -> None:
    shops = [f"shop-{number}" for number in range(2000)]
    members = [shop for shop in shops if in_experiment("small", shop, trial)]
    assert 320 < len(members) < 480
    assert members == [shop for shop in shops if in_experiment("small", shop, trial)]
    chosen = select_prompt("small", shop_key=members[0], features={}, override=None, now=NOW, prompts=trial)
    assert (chosen.version, chosen.source) == ("v2", "experiment")


def test_another_experiment_deals_the_shops_anew(trial: Library, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (tmp_path / "small").rename(tmp_path / "moved")
    other.mkdir()
    (tmp_path / "moved").rename(other / "small")
    (other / "releases.toml").write_text((tmp_path / "releases.toml").read_text().replace("spring", "summer"))
    shops = [f"shop-{number}" for number in range(500)]
    assert [in_experiment("small", shop, trial) for shop in shops] != [
        in_experiment("small", shop, library(other)) for shop in shops
    ]


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_shop_takes_part_while_the_share_is_nothing(shop_key: str) -> None:
    assert not in_experiment("placement", shop_key)


def test_an_edit_that_is_a_library_text_is_that_version() -> None:
    selection = complete_edit("placement", library().get("placement", "v2").template.replace("\n", "\r\n"))
    assert (selection.version, selection.source) == ("v2", "library")
    assert selection == library_selection("placement", "v2")


def test_an_edit_has_to_render_with_the_librarys_input() -> None:
    with pytest.raises(PromptError, match="there is no 'titel'"):
        complete_edit("placement", "{{ facts.titel }}")
    with pytest.raises(PromptError, match="uses `colour`"):
        complete_edit("placement", "{{ colour }}")
    with pytest.raises(PromptHeaderInvalid, match="has to stay"):
        complete_edit("placement", SMALL)


def test_an_edit_with_an_unknown_param_is_refused() -> None:
    with pytest.raises(PromptError, match="unknown names: prefr"):
        complete_edit("placement", "---\nparams: {prefr: left}\n---\n")
    with pytest.raises(PromptError, match="prefer has to be one of"):
        complete_edit("placement", "---\nparams: {prefer: up}\n---\n")


def test_an_incomplete_text_is_not_selected() -> None:
    with pytest.raises(PromptHeaderInvalid, match="lacks"):
        edited_selection("placement", "Only words.", base_version="v3")
