"""Which prompt a shop gets: its live override, else the experiment it takes part in, else production.

Everything here is pure: the caller loads the overrides (`prompts.services.load_live_overrides`) and names the time.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from prompts.document import complete, parse_document
from prompts.library import Library, Prompt, library
from prompts.template import Rendered

Source = Literal["library", "experiment", "override", "edit"]
FLAG = "experimental_prompts"
BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class LiveOverride:
    """An override row as the selection needs it; plain data, so it can go to another process."""

    override_id: str
    prompt_name: str
    template: str
    base_version: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Selection:
    """The prompt a run uses: its exact text, where it came from, and the params that steer the model.

    `version` is the library's (`v3`), or `sha256:` and 12 hex digits for a text that is not the library's.
    """

    prompt_name: str
    version: str
    source: Source
    sha256: str
    template: str
    base_version: str
    ir_schema: str
    params: Mapping[str, Any] = field(default_factory=dict)
    override_id: str | None = None


def select_prompt(
    name: str,
    *,
    shop_key: str,
    features: Mapping[str, Any],
    override: LiveOverride | None,
    now: datetime,
    prompts: Library | None = None,
) -> Selection:
    """Choose the prompt of one shop at one moment.

    An override counts until the second in which it expires, and not in that second.

    Raises:
        PromptNotFound: there is no prompt by that name.
    """
    prompts = prompts or library()
    production = prompts.production(name)
    if override is not None and override.prompt_name == name and now < override.expires_at:
        return edited_selection(
            name, override.template, base_version=override.base_version, override_id=override.override_id
        )
    experimental = prompts.experimental(name)
    if experimental and (features.get(FLAG) is True or in_experiment(name, shop_key, prompts)):
        return _library_selection(experimental, "experiment")
    return _library_selection(production, "library")


def in_experiment(name: str, shop_key: str, prompts: Library | None = None) -> bool:
    """Whether a shop falls into the experiment's share; the answer stays until the share or experiment changes."""
    release = (prompts or library()).release(name)
    digest = hashlib.sha256(f"{release.experiment}:{shop_key}".encode()).digest()
    return int.from_bytes(digest[:8]) % BUCKETS < round(release.share * BUCKETS)


def library_selection(name: str, version: str) -> Selection:
    """One version of the library, whatever the shop would get.

    Raises:
        PromptNotFound: there is no such name or version.
    """
    return _library_selection(library().get(name, version), "library")


def edited_selection(
    name: str, text: str, *, base_version: str, override_id: str | None = None, source: Source = "override"
) -> Selection:
    """A complete text that somebody wrote: an override, or the edited prompt of a fork (source `edit`).

    Raises:
        PromptError: the text is not a valid prompt.
    """
    document = parse_document(text)
    return Selection(
        prompt_name=name,
        version=version_of(name, document.sha256),
        source=source,
        sha256=document.sha256,
        template=text,
        base_version=base_version,
        ir_schema=document.ir_schema,
        params=dict(document.params),
        override_id=override_id,
    )


def complete_edit(name: str, text: str, *, base_version: str | None = None) -> Selection:
    """What somebody typed, made whole from the library's version it started from (default: production), and checked.

    A text equal to a library file is that library version.

    Raises:
        PromptNotFound: there is no such prompt or version.
        PromptError: the text is not a valid prompt; it has to render the library's example, and its input has to
            stay what it is in the library.
    """
    prompts = library()
    base = prompts.get(name, base_version) if base_version else prompts.production(name)
    whole = complete(base.document, text)
    document = parse_document(whole)
    document.fill(base.document.example)
    same = prompts.find(name, document.sha256)
    if same is not None:
        return _library_selection(same, "library")
    return edited_selection(name, whole, base_version=base.version)


def version_of(name: str, sha256: str) -> str:
    """The library's version with exactly this text, else the hash that stands for it."""
    same = library().find(name, sha256)
    return same.version if same else f"sha256:{sha256[:12]}"


def render_selection(
    selection: Selection, variables: Mapping[str, Any], params: Mapping[str, Any] | None = None
) -> Rendered:
    """Fill in the selected prompt; `params` go over its own for this one time.

    Raises:
        PromptInputInvalid: the variables do not match the prompt's input schema.
        PromptError: it could not be filled in with them.
    """
    return parse_document(selection.template).fill(variables, params)


def _library_selection(prompt: Prompt, source: Source) -> Selection:
    return Selection(
        prompt_name=prompt.name,
        version=prompt.version,
        source=source,
        sha256=prompt.sha256,
        template=prompt.template,
        base_version=prompt.version,
        ir_schema=prompt.ir_schema,
        params=dict(prompt.params),
    )
