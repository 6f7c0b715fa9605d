"""The shipped library: every version renders, the pointers are right, and a broken folder says what is wrong."""

import hashlib
from pathlib import Path

import pytest

from prompts.errors import PromptError, PromptNotFound, ReleasesInvalid
from prompts.library import FOLDER, Prompt, library
from tests.prompts.samples import SMALL

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("prompt", library().all(), ids=lambda prompt: f"{prompt.name}_{prompt.version}")
def test_every_version_renders_to_its_golden_text(prompt: Prompt) -> None:
    """After a wanted change: `manage.py prompts render NAME VERSION > tests/prompts/golden/NAME_VERSION.txt`."""
    golden = (GOLDEN / f"{prompt.name}_{prompt.version}.txt").read_text(encoding="utf-8")
    assert prompt.document.fill(prompt.document.example).text == golden.rstrip("\n")


def test_the_pointers_are_those_of_the_mission() -> None:
    prompts = library()
    assert {name: prompts.production(name).version for name in prompts.names()} == {
        "composite": "v2",
        "facts_extraction": "v2",
        "placement": "v3",
    }
    experimental = {name: prompts.experimental(name) for name in prompts.names()}
    assert {name: prompt and prompt.version for name, prompt in experimental.items()} == {
        "composite": None,
        "facts_extraction": "v3",
        "placement": "v4",
    }
    assert {name: prompts.versions(name) for name in prompts.names()} == {
        "composite": ["v1", "v2"],
        "facts_extraction": ["v1", "v2", "v3"],
        "placement": ["v1", "v2", "v3", "v4"],
    }


def test_a_prompt_is_known_by_the_hash_of_its_exact_file() -> None:
    content = (FOLDER / "placement" / "v3.prompt").read_bytes()
    prompt = library().get("placement", "v3")
    assert prompt.sha256 == hashlib.sha256(content).hexdigest()
    assert prompt.template.encode() == content
    assert library().find("placement", prompt.sha256) is prompt


def test_all_versions_of_a_prompt_take_the_same_input() -> None:
    for name in library().names():
        schemas = [library().get(name, version).input_schema for version in library().versions(name)]
        assert all(schema == schemas[0] for schema in schemas)


def test_every_message_set_has_a_system_and_a_user_part() -> None:
    for prompt in library().all():
        assert [block.role for block in prompt.document.blocks] == ["system", "user"]


def test_an_unknown_name_or_version_lists_what_there_is() -> None:
    with pytest.raises(PromptNotFound, match="composite, facts_extraction, placement"):
        library().production("placemnt")
    with pytest.raises(PromptNotFound, match="v1, v2, v3, v4"):
        library().get("placement", "v9")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "v1.prompt").write_text(SMALL)
    (tmp_path / "releases.toml").write_text('[small]\nproduction = "v1"\n')
    return tmp_path


def test_a_folder_of_ones_own_can_be_loaded(folder: Path) -> None:
    assert library(folder).production("small").description == "A small prompt."


def test_versions_are_ordered_as_numbers(folder: Path) -> None:
    for version in ("v2", "v10"):
        (folder / "small" / f"{version}.prompt").write_text(SMALL)
    assert library(folder).versions("small") == ["v1", "v2", "v10"]


@pytest.mark.parametrize(
    ("releases", "why"),
    [
        ("", "its tables are"),
        ("[small]", "production is required"),
        ('[small]\nproduction = "v7"', "no version v7"),
        ('[small]\nproduction = "v1"\nexperimental = "v7"', "no version v7"),
        ('[small]\nproduction = "v1"\nshare = 0.5', "no experimental"),
        ('[small]\nproduction = "v1"\nexperimental = "v1"\nshare = 5', "between 0 and 1"),
        ('[small]\nproduction = "v1"\nprodution = "v1"', "takes"),
        ('[small]\nproduction = "v1"\n[large]\nproduction = "v1"', "its tables are"),
        ("[small", "releases.toml"),
    ],
)
def test_pointers_that_point_at_nothing_are_refused(folder: Path, releases: str, why: str) -> None:
    (folder / "releases.toml").write_text(releases)
    with pytest.raises(ReleasesInvalid, match=why):
        library(folder)


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "small" / "v2.prompt").write_text(SMALL.replace("title | quote", "title | shout"))
    with pytest.raises(PromptError, match=r"small/v2\.prompt: Line 19: the filter 'shout'"):
        library(folder)


def test_a_file_with_a_strange_name_is_refused(folder: Path) -> None:
    (folder / "small" / "v3_experimental.prompt").write_text(SMALL)
    with pytest.raises(PromptError, match="v<number>"):
        library(folder)
