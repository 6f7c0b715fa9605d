"""The language of prompts: values, `if`, `for` and four filters, a small subset of Jinja2.

A template is parsed by Jinja2, held against a whitelist of node types, and only then compiled, inside Jinja2's
immutable sandbox with strict undefined values. It can look up keys of plain JSON, compare, repeat and print:

    {{ title | cap(300) | quote }}      {% if tap %}...{% endif %}      {% for tag in tags | cap(20) %}...{% endfor %}

There are no calls, no arithmetic, no attributes of Python objects, no includes; loops and output are bounded. Every
value that is filled in loses role markers and invisible characters on the way (`prompts/filters.py`).
"""

import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, meta, nodes, pass_context
from jinja2 import Template as CompiledTemplate
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from prompts import filters
from prompts.errors import PromptError, PromptForbidden, PromptRenderFailed, PromptSyntaxInvalid, PromptTooLarge
from prompts.filters import MAX_BYTES
from vendors.base import Message, Role

MAX_NODES = 4000
MAX_DEPTH = 24
MAX_LOOP_DEPTH = 2
MAX_LOOP_STEPS = 2000
MAX_ELIFS = 20
LOOP_FIELDS = frozenset({"index", "first", "last"})
RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs"})
BUDGET = "_loop_steps_left"
PLAIN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """The template of one message; `line` is where it starts in the file."""

    role: Role
    template: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """Characters `start` to `end` of message number `message` came from the variable `name`."""

    message: int
    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt with its values filled in: one message a role block, and where the values stand in them."""

    messages: tuple[Message, ...]
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """All messages with their roles, for people to read and for the record."""
        return "\n\n".join(f"<<{message.role}>>\n{message.text}" for message in self.messages)


class _PlainDataEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox in which a dot is a lookup in a JSON object and nothing else."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Undefined):
            return getattr(obj, attribute)
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(f"there is no {attribute!r} in the object")
        if isinstance(obj, LoopContext) and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        return self.undefined(f"{attribute!r} was looked up in {filters.kind(obj)}, not in an object")

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self.undefined("Square brackets are not part of the prompt language")


@pass_context
def _count_steps(context: Context, value: Any) -> Iterator[Any]:
    """The items of a list, each taken from the budget that all loops of one rendering share."""
    if isinstance(value, Undefined):
        filters.refuse_undefined(value)
    if not isinstance(value, (list, tuple)):
        raise PromptRenderFailed(f"A loop goes over a list; this is {filters.kind(value)}.")
    budget: list[int] = context.parent[BUDGET]
    for item in value:
        budget[0] -= 1
        if budget[0] < 0:
            raise PromptTooLarge(f"The loops of one prompt may make at most {MAX_LOOP_STEPS} steps; cap the list.")
        yield item


def _environment() -> _PlainDataEnvironment:
    environment = _PlainDataEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False, cache_size=0
    )
    environment.globals.clear()
    environment.filters = {**filters.NAMED, "_printed": filters.printed, "_steps": _count_steps}
    environment.tests = {"none": lambda value: value is None}
    return environment


ENVIRONMENT = _environment()


@lru_cache(maxsize=512)
def compile_template(text: str, line: int = 1) -> tuple[CompiledTemplate, frozenset[str]]:
    """Parse, check and compile one block; also the names of the variables that it needs.

    Raises:
        PromptSyntaxInvalid: Jinja2 cannot read it.
        PromptForbidden: it uses something outside the whitelist.
        PromptTooLarge: more than 64 KiB of text, or nested too deep.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise PromptTooLarge()
    try:
        tree = ENVIRONMENT.parse(text)
        _check(tree, line)
        names = frozenset(meta.find_undeclared_variables(tree))
        _instrument(tree)
        code = ENVIRONMENT.compile(tree, name="prompt", filename="<prompt>")
    except TemplateSyntaxError as error:
        raise PromptSyntaxInvalid(f"Line {line + error.lineno - 1}: {error.message}") from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise PromptTooLarge("The template is nested too deep.") from error
    return CompiledTemplate.from_code(ENVIRONMENT, code, {}), names


def line_of_name(text: str, first_line: int, names: Collection[str]) -> int:
    """Where the first of some names stands in a block that starts on `first_line`; the text is a valid template."""
    used = (node.lineno for node in ENVIRONMENT.parse(text).find_all(nodes.Name) if node.name in names)
    return first_line + min(used, default=1) - 1


def _check(tree: nodes.Template, first_line: int) -> None:
    """Hold every node of the parsed template against the whitelist."""
    count = 0
    pending: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while pending:
        node, depth, loops = pending.pop()
        count += 1
        loops += isinstance(node, nodes.For)
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise PromptTooLarge("The template is too large or nested too deep.")
        problem = _problem(node, loops)
        if problem:
            raise PromptForbidden(f"Line {first_line + (node.lineno or 1) - 1}: {problem}.")
        pending.extend((child, depth + 1, loops) for child in node.iter_child_nodes())


def _problem(node: nodes.Node, loops: int) -> str | None:
    """Why a node is not part of the language, or None."""
    match node:
        case nodes.Name(name=name):
            bad = name.startswith("_") or name in RESERVED or (node.ctx != "load" and name in {"loop", "params"})
            return f"the name {name!r} is reserved" if bad else None
        case nodes.Getattr(attr=attr):
            return f"the name {attr!r} is reserved" if attr.startswith("_") else None
        case nodes.Filter():
            return _filter_problem(node)
        case nodes.Test(name=name):
            return None if name == "none" else f"the test {name!r} does not exist; there is `none`"
        case nodes.Const(value=value):
            return None if isinstance(value, (str, int, float, bool, type(None))) else "this constant is not allowed"
        case nodes.List(items=items):
            return None if all(isinstance(item, nodes.Const) for item in items) else "a list may hold constants only"
        case nodes.Neg(node=inner):
            return None if isinstance(inner, nodes.Const) else "arithmetic is not allowed"
        case nodes.For():
            return _loop_problem(node, loops)
        case nodes.If() if len(node.elif_) > MAX_ELIFS:
            return f"more than {MAX_ELIFS} `elif` in a row"
        case _:
            return None if isinstance(node, PLAIN) else f"{type(node).__name__} is not part of the prompt language"


def _filter_problem(node: nodes.Filter) -> str | None:
    if node.node is None or node.name not in filters.NAMED:
        return f"the filter {node.name!r} does not exist; there are {', '.join(sorted(filters.NAMED))}"
    if node.kwargs or node.dyn_args or node.dyn_kwargs or not all(isinstance(item, nodes.Const) for item in node.args):
        return f"the filter {node.name!r} takes plain numbers only"
    return None


def _loop_problem(node: nodes.For, loops: int) -> str | None:
    if node.recursive or not isinstance(node.target, nodes.Name):
        return "a loop has one plain name: {% for item in list %}"
    return f"loops may be nested {MAX_LOOP_DEPTH} deep" if loops > MAX_LOOP_DEPTH else None


def _instrument(tree: nodes.Template) -> None:
    """Make every printed value pass `printed`, and every loop count its steps."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, "_steps", [], [], None, None, lineno=loop.lineno)
    for output in list(tree.find_all(nodes.Output)):
        output.nodes = [
            child if isinstance(child, nodes.TemplateData) else _print(child) for child in output.nodes
        ]  # fmt: skip


def _print(child: nodes.Expr) -> nodes.Filter:
    label = nodes.Const(_source(child), lineno=child.lineno)
    return nodes.Filter(child, "_printed", [label], [], None, None, lineno=child.lineno)


def _source(node: nodes.Node) -> str:
    """The dotted name a printed value starts from, such as `facts.title`."""
    if isinstance(node, nodes.Filter) and node.node is not None:
        return _source(node.node)
    if isinstance(node, nodes.Getattr):
        return f"{_source(node.node)}.{node.attr}"
    return node.name if isinstance(node, nodes.Name) else ""


def render(blocks: Sequence[Block], variables: Mapping[str, Any]) -> Rendered:
    """Fill in every block; roles were fixed before any value was looked at.

    Raises:
        PromptRenderFailed: a value is missing, null where text is needed, or of the wrong kind.
        PromptTooLarge: more than 64 KiB of text, or too many loop steps.
        PromptSyntaxInvalid, PromptForbidden: a block is not a valid template.
    """
    budget = [MAX_LOOP_STEPS]
    messages: list[Message] = []
    segments: list[Segment] = []
    room = MAX_BYTES
    for block in blocks:
        text, found = _render_block(block, {**variables, BUDGET: budget}, room)
        room -= len(text.encode())
        messages.append(Message(block.role, text))
        segments.extend(Segment(len(messages) - 1, start, end, name) for start, end, name in found)
    return Rendered(tuple(messages), tuple(segments))


def _render_block(block: Block, variables: dict[str, Any], room: int) -> tuple[str, list[tuple[int, int, str]]]:
    template, _ = compile_template(block.template, block.line)
    pieces: list[str] = []
    found: list[tuple[int, int, str]] = []
    length = size = 0
    try:
        stream = template.generate(variables)
        for piece in stream:
            size += len(piece.encode())
            if size > room:
                at = template.get_corresponding_lineno(stream.gi_yieldfrom.gi_frame.f_lineno)  # type: ignore[attr-defined]
                where = f"Line {block.line + at - 1}: "
                raise PromptTooLarge(f"{where}from here on the prompt renders to more than 64 KiB; cap its values.")
            if isinstance(piece, filters.Printed):
                found.append((length, length + len(piece), piece.source))
            pieces.append(piece)
            length += len(piece)
    except PromptError as error:
        raise type(error)(f"{_place(error, block)}{error.message}", details=error.details) from error
    except (TemplateError, TypeError, ValueError) as error:
        text = f"the {block.role} message could not be filled in: {error}."
        raise PromptRenderFailed(f"{_place(error, block)}{text}") from error
    return "".join(pieces), found


def _place(error: Exception, block: Block) -> str:
    """Where in the file a rendering failed, `Line 12: `, from the traceback, in which Jinja2 counts template lines."""
    lines = [at for frame, at in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<prompt>"]
    return f"Line {block.line + lines[-1] - 1}: " if lines else ""
