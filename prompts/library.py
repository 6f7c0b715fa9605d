"""The git-tracked prompts: `library/<name>/<version>.prompt`, and `library/releases.toml`: which are in use."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prompts.document import Document, parse_document
from prompts.errors import PromptError, PromptNotFound, ReleasesInvalid

FOLDER = Path(__file__).resolve().parent / "library"
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
VERSION = re.compile(r"v([1-9][0-9]{0,3})")
RELEASE_KEYS = {"production", "experimental", "experiment", "share"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one library prompt."""

    name: str
    version: str
    document: Document

    @property
    def description(self) -> str:
        return self.document.description

    @property
    def template(self) -> str:
        """The exact text of the file."""
        return self.document.text

    @property
    def sha256(self) -> str:
        """SHA-256 of the exact file."""
        return self.document.sha256

    @property
    def params(self) -> Mapping[str, Any]:
        return self.document.params

    @property
    def input_schema(self) -> Mapping[str, Any]:
        return self.document.input_schema

    @property
    def ir_schema(self) -> str:
        """The target whose active IR schema the answer has to meet, such as `stage:facts`."""
        return self.document.ir_schema


@dataclass(frozen=True, slots=True)
class Release:
    """Which versions of a prompt are in use. `share` (0..1) of the shops take part in `experiment`."""

    production: str
    experimental: str | None
    experiment: str
    share: float

    def role_of(self, version: str) -> str:
        """What a version is used for: `production`, `experimental` or `-`."""
        if version == self.production:
            return "production"
        return "experimental" if version == self.experimental else "-"


class Library:
    """All prompts of one folder, read once and checked whole."""

    def __init__(self, prompts: Mapping[tuple[str, str], Prompt], releases: Mapping[str, Release]) -> None:
        self._prompts = dict(prompts)
        self._releases = dict(releases)

    def names(self) -> list[str]:
        """The prompts' names in alphabetical order."""
        return sorted(self._releases)

    def versions(self, name: str) -> list[str]:
        """The versions of one prompt, oldest first.

        Raises:
            PromptNotFound: there is no prompt by that name.
        """
        self.release(name)
        return sorted((version for known, version in self._prompts if known == name), key=lambda text: int(text[1:]))

    def get(self, name: str, version: str) -> Prompt:
        """One version.

        Raises:
            PromptNotFound: there is no such name or version.
        """
        known = self.versions(name)
        if version not in known:
            raise PromptNotFound(f"The prompt {name} has no version {version}; there are {', '.join(known)}.")
        return self._prompts[name, version]

    def release(self, name: str) -> Release:
        """Where the pointers of one prompt stand.

        Raises:
            PromptNotFound: there is no prompt by that name.
        """
        if name not in self._releases:
            raise PromptNotFound(f"There is no prompt {name!r}; there are {', '.join(self.names())}.")
        return self._releases[name]

    def production(self, name: str) -> Prompt:
        """The version that shops get."""
        return self.get(name, self.release(name).production)

    def experimental(self, name: str) -> Prompt | None:
        """The version under trial, or None."""
        version = self.release(name).experimental
        return self.get(name, version) if version else None

    def find(self, name: str, sha256: str) -> Prompt | None:
        """The version of a prompt whose file has this hash, or None."""
        return next(
            (self.get(name, version) for version in self.versions(name) if self.get(name, version).sha256 == sha256),
            None,
        )

    def all(self) -> list[Prompt]:
        """Every version of every prompt, by name and age."""
        return [self.get(name, version) for name in self.names() for version in self.versions(name)]


@cache
def library(folder: Path = FOLDER) -> Library:
    """The prompts of a folder, read once per process.

    Raises:
        PromptError: a file is not valid; the message names it.
        ReleasesInvalid: `releases.toml` is missing, malformed or points at nothing.
    """
    prompts = {}
    for path in sorted(folder.glob("*/*.prompt")):
        name, version = path.parent.name, path.stem
        if not NAME.fullmatch(name) or not VERSION.fullmatch(version):
            raise PromptError(f"{name}/{path.name}: a prompt file is called <name>/v<number>.prompt.")
        try:
            prompts[name, version] = Prompt(name, version, parse_document(path.read_text(encoding="utf-8")))
        except PromptError as error:
            raise type(error)(f"{name}/{path.name}: {error.message}", details=error.details) from error
        except UnicodeDecodeError as error:
            raise PromptError(f"{name}/{path.name}: not UTF-8 text.") from error
    return Library(prompts, _read_releases(folder / "releases.toml", prompts))


def _read_releases(path: Path, prompts: Mapping[tuple[str, str], Prompt]) -> dict[str, Release]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReleasesInvalid(f"releases.toml: {error}.") from error
    names = {name for name, _ in prompts}
    if set(table) != names:
        raise ReleasesInvalid(f"releases.toml: its tables are {sorted(table)}, the prompts are {sorted(names)}.")
    releases = {name: _release(name, entry) for name, entry in table.items()}
    for name, release in releases.items():
        for version in filter(None, (release.production, release.experimental)):
            if (name, version) not in prompts:
                raise ReleasesInvalid(f"releases.toml: {name} has no version {version}.")
    return releases


def _release(name: str, entry: Any) -> Release:
    if not isinstance(entry, dict) or set(entry) - RELEASE_KEYS or not isinstance(entry.get("production"), str):
        raise ReleasesInvalid(f"releases.toml: {name} takes {', '.join(sorted(RELEASE_KEYS))}; production is required.")
    experimental, share = entry.get("experimental"), entry.get("share", 0.0)
    experiment = entry.get("experiment", f"{name}:{experimental}")
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ReleasesInvalid(f"releases.toml: the share of {name} has to be between 0 and 1.")
    if share and not experimental:
        raise ReleasesInvalid(f"releases.toml: {name} has a share but no experimental version.")
    if not isinstance(experiment, str) or not isinstance(experimental, str | None):
        raise ReleasesInvalid(f"releases.toml: the names in {name} have to be text.")
    return Release(entry["production"], experimental, experiment, float(share))


def target_of(name: str) -> str | None:
    """The IR schema target of a prompt in production, None for a name that is not in the library."""
    return library().production(name).ir_schema if name in library().names() else None
