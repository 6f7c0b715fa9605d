"""A prompt file: a YAML header between two `---` lines, then blocks that each start with a role line.

    ---
    description: What this version is for.
    ir_schema: stage:facts
    params: {}
    params_schema: {type: object, additionalProperties: false}
    input: {type: object, additionalProperties: false, properties: ...}
    example: {title: Oak chair}
    ---
    <<system>>
    You describe products.
    <<user>>
    {{ title | cap(300) | quote }}

The text is split into roles before anything is filled in, so no value can ever open a message of its own.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from core.canonical import canonical_json, sha256_hex
from prompts.errors import (
    PromptHeaderInvalid,
    PromptInputInvalid,
    PromptParamsInvalid,
    PromptSyntaxInvalid,
    PromptTooLarge,
)
from prompts.filters import MAX_BYTES
from prompts.inputs import problems
from prompts.template import Block, Rendered, compile_template, line_of_name, render
from vendors.base import Role

HEADER_KEYS = ("description", "ir_schema", "params", "params_schema", "input", "example")
HEADER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
ROLE_LINE = re.compile(r"^<<([^<>\n]*)>>[ \t]*$", re.MULTILINE)
IR_TARGET = re.compile(r"(stage|prompt|process):[a-z][a-z0-9_]*")
ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Document:
    """One prompt file, read and checked; `sha256` is of its exact UTF-8 text."""

    text: str
    sha256: str
    description: str
    ir_schema: str
    params: Mapping[str, Any]
    params_schema: Mapping[str, Any]
    input_schema: Mapping[str, Any]
    example: Mapping[str, Any]
    blocks: tuple[Block, ...]

    def fill(self, variables: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> Rendered:
        """Check the values against the input schema and fill them in; templates also see `params`.

        `params` go over the prompt's own for this one time (a shopper's hint); names that it does not know are
        left out.

        Raises:
            PromptInputInvalid: the values do not match; `details.problems` lists where and why.
            PromptError: the template failed on them (see `prompts.template.render`).
        """
        found = problems(self.input_schema, variables)
        if found:
            raise PromptInputInvalid(f"The prompt's input is not valid: {found[0]}", details={"problems": found})
        known = self.params_schema.get("properties", {})
        over = {name: value for name, value in (params or {}).items() if name in known}
        return render(self.blocks, {**variables, "params": {**dict.fromkeys(known), **self.params, **over}})


@lru_cache(maxsize=256)
def parse_document(text: str) -> Document:
    """Read a complete prompt file.

    Raises:
        PromptHeaderInvalid: a header key is missing, unknown or of the wrong kind.
        PromptParamsInvalid: the params do not match the params schema.
        PromptError: a block is not a valid template, or the example does not render.
    """
    header, body, line = split_document(text)
    _check_header(header)
    blocks = split_roles(body, line)
    known = {*header["input"].get("properties", {}), "params"}
    for block in blocks:
        _, names = compile_template(block.template, block.line)
        if names - known:
            line = line_of_name(block.template, block.line, names - known)
            raise PromptInputInvalid(
                f"Line {line}: the prompt uses {_listed(names - known)}; its input has {_listed(known)}."
            )
    document = Document(
        text=text,
        sha256=sha256_hex(text.encode()),
        description=header["description"].strip(),
        ir_schema=header["ir_schema"],
        params=header["params"],
        params_schema=header["params_schema"],
        input_schema=header["input"],
        example=header["example"],
        blocks=blocks,
    )
    found = problems(document.params_schema, document.params)
    if found:
        raise PromptParamsInvalid(f"The prompt's params are not valid: {found[0]}", details={"problems": found})
    document.fill(document.example)
    return document


def split_document(text: str) -> tuple[dict[str, Any], str, int]:
    """The header (empty if there is none), the body, and the line on which the body starts."""
    try:
        if len(text.encode()) > MAX_BYTES:
            raise PromptTooLarge()
    except UnicodeEncodeError as error:
        raise PromptSyntaxInvalid("The prompt is not valid Unicode text.") from error
    text = text.replace("\r\n", "\n")
    found = HEADER.match(text)
    if found is None:
        if text.startswith("---"):
            raise PromptHeaderInvalid("The header has no closing `---` line.")
        return {}, text, 1
    return _header(found["yaml"]), text[found.end() :], text.count("\n", 0, found.end()) + 1


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, so that a small file cannot stand for a huge value."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


def _header(source: str) -> dict[str, Any]:
    return dict(json.loads(_header_json(source)))


@lru_cache(maxsize=256)
def _header_json(source: str) -> str:
    """The header as JSON. Reading YAML is what takes time with a prompt, and most edits leave the header alone."""
    try:
        header = yaml.load(source, Loader=_PlainLoader)  # noqa: S506 (a safe loader, narrowed)
        canonical_json(header)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise PromptHeaderInvalid(f"The header is not plain YAML: {' '.join(str(error).split())}") from error
    if not isinstance(header, dict | None):
        raise PromptHeaderInvalid("The header has to be a list of `key: value` lines.")
    unknown = set(header or ()) - set(HEADER_KEYS)
    if unknown:
        raise PromptHeaderInvalid(f"The header has unknown keys: {_listed(unknown)}; there are {_listed(HEADER_KEYS)}.")
    return json.dumps(header or {})  # in the order of the file: an example may be printed whole


def _check_header(header: Mapping[str, Any]) -> None:
    """Every key is there and of its kind; the input schema is closed, so that a misspelt variable is found."""
    missing = set(HEADER_KEYS) - set(header)
    if missing:
        raise PromptHeaderInvalid(f"The header lacks {_listed(missing)}.")
    if not isinstance(header["description"], str) or not header["description"].strip():
        raise PromptHeaderInvalid("`description` has to be a sentence.")
    if not isinstance(header["ir_schema"], str) or not IR_TARGET.fullmatch(header["ir_schema"]):
        raise PromptHeaderInvalid("`ir_schema` has to be a target such as `stage:facts`.")
    for key in ("params", "params_schema", "input", "example"):
        if not isinstance(header[key], dict):
            raise PromptHeaderInvalid(f"`{key}` has to be an object.")
    for key in ("params_schema", "input"):
        schema = header[key]
        if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
            raise PromptHeaderInvalid(f"`{key}` has to be of type object with additionalProperties false.")
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise PromptHeaderInvalid(f"`{key}` is not a JSON Schema: {error.message}.") from error


def split_roles(body: str, first_line: int = 1) -> tuple[Block, ...]:
    """The blocks of a body. Text without any role line is one user message.

    Raises:
        PromptSyntaxInvalid: text before the first role line, an unknown role, an empty block, or no text at all.
    """
    marks = list(ROLE_LINE.finditer(body))
    if not marks:
        if not body.strip():
            raise PromptSyntaxInvalid("The prompt has no text.")
        return (_block("user", body, first_line),)
    if body[: marks[0].start()].strip():
        raise PromptSyntaxInvalid(f"Line {first_line}: there is text before the first role line.")
    ends = [mark.start() for mark in marks[1:]] + [len(body)]
    blocks = []
    for mark, end in zip(marks, ends, strict=True):
        line = first_line + body.count("\n", 0, mark.start())
        role, text = mark[1].strip(), body[mark.end() : end]
        if role not in ROLES:
            raise PromptSyntaxInvalid(f"Line {line}: the role {role!r} does not exist; there are {_listed(ROLES)}.")
        if not text.strip():
            raise PromptSyntaxInvalid(f"Line {line}: the {role} message is empty.")
        blocks.append(_block(role, text, line))
    return tuple(blocks)


def _block(role: str, text: str, line: int) -> Block:
    """A block without blank lines around it; its line number still points into the file."""
    start = len(text) - len(text.lstrip())
    return Block(role, text.strip(), line + text.count("\n", 0, start))  # type: ignore[arg-type]


def complete(base: Document, edited: str) -> str:
    r"""The full text of an edited prompt that may say less than a whole file.

    A whole file is kept as it is (line ends become `\n`). Header keys that are left out come from `base`; params that
    are left out keep base's values; an edit without a body keeps base's messages, and a body without a role line
    replaces the user message only.

    Raises:
        PromptHeaderInvalid: the edit changes the input, params schema or IR schema, which code relies on.
        PromptSyntaxInvalid: there is nothing in it.
    """
    edited = edited.replace("\r\n", "\n")
    header, body, _ = split_document(edited)
    if not header and not body.strip():
        raise PromptSyntaxInvalid("The prompt has no text.")
    base_header, base_body, _ = split_document(base.text)
    for key in ("input", "params_schema", "ir_schema"):
        if key in header and header[key] != base_header[key]:
            raise PromptHeaderInvalid(f"`{key}` has to stay as it is in the library; leave it out.")
    whole = set(header) == set(HEADER_KEYS) and ROLE_LINE.search(body)
    if whole:
        return edited
    params = {**base_header["params"], **header["params"]} if isinstance(header.get("params"), dict) else None
    merged = {**base_header, **header, **({"params": params} if params is not None else {})}
    head = yaml.safe_dump(merged, sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{head}---\n{_merged_body(base_body, body)}"


def _merged_body(base_body: str, body: str) -> str:
    if not body.strip():
        return base_body
    if ROLE_LINE.search(body):
        return body
    kept = [block for block in split_roles(base_body) if block.role == "system"]
    parts = [f"<<{block.role}>>\n{block.template}\n" for block in kept]
    return "\n".join([*parts, f"<<user>>\n{body.strip()}\n"])


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in sorted(map(str, names))) or "nothing"
