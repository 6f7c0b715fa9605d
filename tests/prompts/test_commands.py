"""The prompt commands, as a shell calls them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from prompts.library import library
from prompts.models import PromptOverride
from prompts.services import create_override
from shops.models import Shop
from tests.factories import ShopFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Shop:
    return ShopFactory(domain="oak.example.test")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "fix.prompt"
    path.write_text("---\nparams: {prefer: left}\n---\n")
    return str(path)


Refuse = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Calls a command that has to end with 2 and one plain line on stderr, and returns that line."""

    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            call_command(*arguments)
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return call


def test_check_lists_every_version_and_where_the_pointers_stand(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prompts", "check", "--json")
    rows = json.loads(capsys.readouterr().out)["check"]
    assert len(rows) == len(library().all())
    pointers = {(row["prompt"], row["version"]): row["release"] for row in rows}
    assert pointers["placement", "v3"] == "production"
    assert pointers["placement", "v4"] == "experimental"


def test_drift_says_so_when_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prompts", "drift")
    assert capsys.readouterr().out == "No live override has drifted.\n"


def test_drift_names_shop_prompt_and_reason(shop: Shop, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(file).read_text()
    create_override(shop=shop, prompt_name="placement", template=text, reason="r", created_by="ada", base_version="v2")
    call_command("prompts", "drift")
    assert "oak.example.test  placement  moved  made from v2, production is v3" in capsys.readouterr().out


def test_render_shows_a_prompt_with_its_example(capsys: pytest.CaptureFixture[str], refused: Refuse) -> None:
    call_command("prompts", "render", "facts_extraction")
    assert 'Title: "Halden Wing Chair, dark grey wool"' in capsys.readouterr().out
    assert refused("prompts", "render") == "Which prompt? There are composite, facts_extraction, placement."
    assert "there are v1, v2" in refused("prompts", "render", "composite", "v7")


def test_an_override_is_made_from_a_file(shop: Shop, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("override_prompt", shop.domain, "placement", "--file", file, "--reason", "Doors", "--expires", "2h")
    override = PromptOverride.objects.get()
    assert (override.expires_at - override.created_at).total_seconds() == pytest.approx(7200, abs=1)
    assert override.params["prefer"] == "left"
    assert capsys.readouterr().out.startswith(f"{override.pk}  placement {override.version_label} for oak.example.test")


def test_a_shop_can_be_named_by_its_id(shop: Shop, file: str) -> None:
    call_command("override_prompt", str(shop.pk), "placement", "--file", file, "--reason", "Doors")
    assert PromptOverride.objects.get().shop == shop


def test_an_override_can_be_taken_back(shop: Shop, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("override_prompt", shop.domain, "placement", "--file", file, "--reason", "Doors")
    call_command("override_prompt", shop.domain, "placement", "--revoke")
    assert PromptOverride.objects.get().revoked_by.endswith("command)")
    assert capsys.readouterr().out.endswith("placement for oak.example.test is closed\n")


def test_bad_input_is_one_plain_line(shop: Shop, file: str, tmp_path: Path, refused: Refuse) -> None:
    (tmp_path / "binary.prompt").write_bytes(b"\xff\xfe\x00")
    override = ("override_prompt", shop.domain, "placement", "--reason", "r", "--file")
    assert refused("override_prompt", "nowhere.test", "placement", "--file", file, "--reason", "r").startswith(
        "There is no shop"
    )
    assert refused("override_prompt", shop.domain, "placemnt", "--file", file, "--reason", "r").startswith(
        "There is no prompt"
    )
    assert refused(*override, str(tmp_path / "absent")).endswith("No such file or directory.")
    assert refused(*override, str(tmp_path / "binary.prompt")).endswith("not UTF-8 text.")
    assert refused(*override, file, "--expires", "soon").startswith("--expires soon")
    assert "14 days" in refused(*override, file, "--expires", "15d")
    assert "needs --file and --reason" in refused("override_prompt", shop.domain, "placement")
    assert "no live override" in refused("override_prompt", shop.domain, "placement", "--revoke")
    assert not PromptOverride.objects.exists()


def test_arguments_that_cannot_be_read_are_one_plain_line_too() -> None:
    command = [sys.executable, "manage.py", "prompts", "nonsense"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=settings.BASE_DIR, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Argument action: invalid choice: 'nonsense'")
