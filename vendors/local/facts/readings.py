"""Every measurement a text gives, line by line: headings, tables and titles read into one list of readings."""

import re
from dataclasses import dataclass, field, replace
from math import log

from vendors.local.facts import vocabulary as words
from vendors.local.facts.chain_reader import ChainReader
from vendors.local.facts.chains import Chain, Member, Section
from vendors.local.facts.kinds import Kind
from vendors.local.facts.quantities import Item, Quantity, read_items
from vendors.local.facts.scopes import Scope, mentions_size, scope_of
from vendors.local.facts.text import Document, Line, Span
from vendors.local.facts.variants import Label, labels_in, names_at, without_letters

_OTHER_SIZES = re.compile(
    r"\b(?:also (?:available|comes|offered|sold|in)|other sizes|existe aussi|aussi disponible|egalement disponible"
    r"|auch (?:erhaltlich|verfugbar|in)|tambien (?:disponible|en)|disponibile anche)\b"
)
# What may stand beside the numbers of a line that is a size and nothing else.
_BARE = {"q", "x", "dot", "stop"}
# `60W` is a power where there is a lamp or a motor.
_ELECTRIC = {"ceiling fan", "fan", "heater", "fireplace", "television", "speaker", "radiator", "mirror", "treadmill"}
# Longer than LONGEST is a slip of the pen, worth a remark up to ABSURD.
SHORTEST, LONGEST, ABSURD = 0.005, 20.0, 400.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One length as written, in metres: its axis (or place in an unlabelled chain), what it is about, where it is."""

    axis: words.Axis | int
    low: float
    high: float
    scope: Scope
    line: Line
    span: Span
    members: int = 1
    vague: bool = False
    unsure: bool = False
    announced: bool = False
    after_part: bool = False
    guessed_unit: bool = False
    sizes: frozenset[str] | None = None
    step: float = 0.01
    titled: bool = False
    called: str = ""

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def quote(self) -> str:
        return self.line.text[slice(*self.span)]


@dataclass
class Group:
    """Readings that describe one thing together: a chain, or the labelled lines of one section."""

    readings: list[Reading] = field(default_factory=list)


@dataclass
class MeasureReader:
    """Reads a document's measurements; `unit_default` settles numbers without a unit."""

    kind: Kind | None
    unit_default: str | None = None

    def read(self, document: Document) -> list[Group]:
        self._groups: dict[object, Group] = {}
        self._columns: list[list[Item]] = []
        self._label: list[Item] = []
        self._section, self._section_number = Section(), 0
        self._titled = numbers_in_title(document)
        self._names = frozenset(word for line in document.of("title", "type") for word in line.folded.split())
        for number, line in enumerate(document.lines):
            if line.source in {"title", "description", "tags"}:
                self._read_line(line, number)
        return list(self._groups.values())

    def _read_line(self, line: Line, number: int) -> None:
        items = read_items(without_letters(line.folded) if line.source == "description" else line.folded)
        if line.source != "description":
            reader = ChainReader(items, self.kind, in_title=line.source == "title")
            self._add(reader.read(), line, number, Section(), items)
        elif not any(item.kind == "q" for item in items):
            self._read_heading(line, items)
        elif line.cells:
            self._read_cells(line, number)
        else:
            self._columns = []
            items, self._label = [*self._label, *items], []
            self._add(ChainReader(items, self.kind, self._section).read(), line, number, self._section, items)

    def _read_heading(self, line: Line, items: list[Item]) -> None:
        """A line without numbers may name what follows: "Packaging", "Dimensions (cm)", a table's columns."""
        said = " ".join(item.text for item in items if item.kind in {"w", "a"})
        axes = [axis for item in items for axis in item.axes]
        unit = next((words.UNITS[item.text] for item in items if item.kind == "u" and len(item.text) > 1), None)
        if line.cells and (axes or unit or mentions_size(said) or scope_of(said, self.kind).narrows):
            self._columns = [_headless(read_items(line.folded[slice(*cell)])) for cell in line.cells]
            return
        # A label on a line of its own belongs to the value on the next.
        self._label = (
            [*_headless(items), Item("colon", ":", -1, -1)] if len(axes) == 1 and len(said.split()) <= 3 else []
        )
        scope, sizes = scope_of(said, self.kind), mentions_size(said)
        named = sizes or scope.narrows or len(axes) > 1
        short = len(said.split()) <= 6
        if not (line.heading or line.text.endswith(":") or (short and named) or (unit and sizes)):
            return
        self._section_number += 1
        if unit and sizes and not short:
            scope = self._section.scope
        self._section = Section(scope, unit, tuple(axes) if len(axes) > 1 else (), sizes or scope.narrows)
        self._columns = []

    def _read_cells(self, line: Line, number: int) -> None:
        cells = [_at_line(read_items(line.folded[start:end]), start) for start, end in line.cells]
        colon = Item("colon", ":", -1, -1)
        if not self._columns or not 0 <= len(self._columns) - len(cells) <= 1:
            items = [*cells[0], colon, *(item for cell in cells[1:] for item in cell)]
            self._add(ChainReader(items, self.kind, self._section).read(), line, number, self._section, items)
            return
        columns = self._columns[-len(cells) :]
        head = [] if any(item.kind == "q" for item in cells[0]) else _headless(cells[0])
        for column, cell in zip(columns, cells, strict=True):
            if any(item.kind == "q" for item in cell):
                items = [*head, *column, colon, *cell]
                chains = ChainReader(items, self.kind, self._section, announced=True).read()
                self._add(chains, line, number, self._section, cell, row=number)

    def _add(
        self, chains: list[Chain], line: Line, number: int, section: Section, items: list[Item], *, row: int = -1
    ) -> None:
        alone = len([item for item in items if item.kind not in {"dot", "open", "close", "stop"}]) == 1
        described = line.source == "description"
        labels = labels_in(line.folded) if described else []
        others = _OTHER_SIZES.search(line.folded) if described else None
        bare = all(item.kind in _BARE or item.text in words.FILLERS for item in items)
        lettered = sum(map(_is_by_letter, chains)) >= 3
        for at, chain in enumerate(chains):
            if others and chain.span[0] > others.start():
                continue
            counts = self._counts(chain, line, alone=alone, bare=bare) or (lettered and _is_by_letter(chain))
            if not counts or self._is_a_stray_letter(chain, chains, alone=alone):
                continue
            several = len(chain.members) > 1
            about = "" if chain.scope.name == "overall" else chain.scope.name
            key: object = (number, row, at) if several else (line.source, self._section_number, about, row)
            group = self._groups.setdefault(key, Group())
            group.readings += self._readings(chain, line, labels)

    def _counts(self, chain: Chain, line: Line, *, alone: bool, bare: bool) -> bool:
        """Whether a chain is a measurement at all, or numbers that happen to stand there."""
        named = chain.announced or (line.source == "tags" and chain.labelled > 0)
        longest = max(q.high for member in chain.members for q in member.quantities)
        if _counts_pieces(chain):
            return False
        if len(chain.members) > 1:
            titled = line.source == "title" and (longest >= 20 or self._in_feet(chain))
            seen_flat = self.kind is not None and (self.kind.has("flat") or self.kind.has("lying"))
            alone = bare and (len(chain.members) == 3 or (seen_flat and longest >= 20))
            return chain.has_unit or named or chain.labelled >= 2 or titled or alone
        member = chain.members[0]
        if member.axis is None:
            titled = line.source == "title" or member.quantities[0].high in self._titled
            return chain.has_unit and (named or titled or alone or self._beside_its_noun(chain, line))
        electric = self.kind is not None and (self.kind.family == "lamp" or self.kind.name in {"lamp", *_ELECTRIC})
        if electric and member.axis == "width" and member.quantities[0].unit is None and not member.spelled_out:
            return False
        titled = line.source == "title" and member.axis == "diameter" and longest >= 20
        return chain.has_unit or named or member.spelled_out or titled

    def _beside_its_noun(self, chain: Chain, line: Line) -> bool:
        """`Tree 150 cm`, `12 inch wall clock`: the product's noun stands for a label."""
        if self.kind is None:
            return False
        before = line.folded[max(0, chain.span[0] - 24) : chain.span[0]].rstrip(" :")
        end = chain.members[-1].quantities[-1].end
        after = line.folded[end : end + 40].lstrip(" -.")
        follows = any(match.end() == len(before) for match in self.kind.pattern.finditer(before))
        return follows or self.kind.pattern.match(after) is not None

    def _in_feet(self, chain: Chain) -> bool:
        """`Rug 5x7`: rugs are named in feet where they are named without a unit."""
        rug = self.kind is not None and "rug" in {self.kind.name, self.kind.family}
        pair = len(chain.members) == 2 and not chain.labelled and not chain.has_unit
        return rug and pair and all(2 <= member.quantities[0].high < 20 for member in chain.members)

    def _is_a_stray_letter(self, chain: Chain, chains: list[Chain], *, alone: bool) -> bool:
        """`100W`: a lone letter on a number without a unit is a label only in a row of them (`W84 D36 H33`)."""
        if not _is_by_letter(chain) or alone:
            return False
        rounds = [other for other in chains if other.members[0].axis == "diameter" and not other.has_unit]
        return sum(_is_by_letter(other) for other in chains) + len(rounds) < 2

    def _readings(self, chain: Chain, line: Line, labels: list[Label]) -> list[Reading]:
        unit, guessed = chain.unit, False
        if not chain.has_unit:
            unit, guessed = self._guess_unit(chain), self.unit_default not in words.METRES
        found: list[Reading] = []
        place = 0
        sizes = names_at(labels, chain.span[0])
        titled = any(member.quantities[0].high in self._titled for member in chain.members)
        for at, member in enumerate(chain.members):
            axis: words.Axis | int = member.axis if member.axis is not None else place
            place += member.axis is None
            for quantity in member.quantities:
                its_unit = _unit_for(chain.members, at) or unit or "cm"
                low, high = quantity.metres(its_unit)
                low, high = (low * 2, high * 2) if axis == "radius" else (low, high)
                if low >= SHORTEST and high <= ABSURD:
                    found.append(
                        Reading(
                            axis="diameter" if axis == "radius" else axis,
                            low=low,
                            high=high,
                            scope=chain.scope,
                            line=line,
                            span=chain.span,
                            members=len(chain.members),
                            vague=chain.vague,
                            unsure=chain.unsure,
                            announced=chain.announced,
                            after_part=chain.after_part,
                            guessed_unit=guessed,
                            sizes=sizes,
                            step=quantity.step * words.METRES[quantity.unit or its_unit],
                            titled=titled,
                            called="" if chain.called in self._names else chain.called,
                        )
                    )
        return found

    def _guess_unit(self, chain: Chain) -> str:
        """Centimetres, inches or millimetres, whichever makes the product as large as its kind usually is."""
        if self.unit_default in words.METRES:
            return self.unit_default
        longest = max(chain.members, key=lambda member: member.quantities[0].high)
        if self._in_feet(chain):
            whole = all(member.quantities[0].high % 1 == 0 for member in chain.members)
            return "ft" if whole or longest.quantities[0].high > 4 else "m"
        if self.kind is None:
            return "mm" if longest.quantities[0].high > 400 else "cm"
        usual = dict(zip(("width", "depth", "height"), self.kind.typical, strict=True))
        length = usual.get(longest.axis or "", max(usual.values()) if longest.axis is None else usual["width"])
        fits = {
            unit: abs_log(longest.quantities[0].high * words.METRES[unit] / length) for unit in ("cm", "in", "mm", "m")
        }
        return min(fits, key=lambda unit: fits[unit])


def numbers_in_title(document: Document) -> frozenset[float]:
    """The bare numbers of a title, which pick one of several listed sizes: "Dining Table 180"."""
    items = [item for line in document.of("title") for item in read_items(line.folded)]
    found = {item.quantity.high for item in items if item.quantity and item.quantity.unit is None}
    return frozenset(number for number in found if number >= 10)


def abs_log(ratio: float) -> float:
    """How far two lengths are apart, as the absolute logarithm of their ratio."""
    return abs(log(max(ratio, 1e-9)))


def _counts_pieces(chain: Chain) -> bool:
    """`3 x 44 cm` are three panels of 44 cm."""
    if len(chain.members) != 2 or chain.labelled:
        return False
    count, length = (member.quantities[0] for member in chain.members)
    small = count.unit is None and count.low == count.high and count.low % 1 == 0 and 2 <= count.low <= 10
    return small and length.unit in {"cm", "mm"} and length.low >= 5 * count.low


def _is_by_letter(chain: Chain) -> bool:
    member = chain.members[0]
    lettered = member.by_letter and member.axis != "diameter"
    return len(chain.members) == 1 and lettered and not member.quantities[0].unit


def _unit_for(members: list[Member], at: int) -> str | None:
    """A number without a unit takes the next one's in its chain, or else the last one's before it."""
    following = [q.unit for member in members[at:] for q in member.quantities[:1] if q.unit]
    before = [q.unit for member in members[:at] for q in member.quantities[:1] if q.unit]
    return following[0] if following else before[-1] if before else None


def _headless(items: list[Item]) -> list[Item]:
    """Items of a header cell, which lend their meaning but no place to quote."""
    return [replace(item, start=-1, end=-1) for item in items]


def _at_line(items: list[Item], offset: int) -> list[Item]:
    moved = [replace(item, start=item.start + offset, end=item.end + offset) for item in items]
    return [replace(item, quantity=_moved(item.quantity, offset)) if item.quantity else item for item in moved]


def _moved(quantity: Quantity, offset: int) -> Quantity:
    return replace(quantity, start=quantity.start + offset, end=quantity.end + offset)
