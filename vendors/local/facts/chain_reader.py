"""The grammar of measurements: labels, chains such as `84" W x 36" D`, equivalents in brackets, scopes around them."""

from dataclasses import dataclass, field, replace
from math import log

from vendors.local.facts import vocabulary as words
from vendors.local.facts.chains import MAX_MEMBERS, Chain, Member, Section, share_labels, share_units
from vendors.local.facts.kinds import Kind
from vendors.local.facts.labels import apply_order, labels_before, second_length
from vendors.local.facts.quantities import Item, Quantity
from vendors.local.facts.scopes import NEUTRAL, NEVER, PART, Scope, mentions_size, scope_of
from vendors.local.facts.variants import size_names

_SAME = {"colon", "slash"}
_UNIT_RATIOS = (2.54, 1 / 2.54, 25.4, 1 / 25.4, 10.0, 0.1, 30.48, 12.0)


@dataclass
class ChainReader:
    """Reads the items of one line (or one table cell with its headers) from left to right."""

    items: list[Item]
    kind: Kind | None
    section: Section = field(default_factory=Section)
    announced: bool = False
    in_title: bool = False

    def read(self) -> list[Chain]:
        """All chains of the line, units shared along lists such as `W 84, D 36, H 33 in`."""
        self._at, self._pending, self._heading = 0, list[Item](), list[str]()
        self._governing: list[tuple[Scope, bool]] = [(self.section.scope, self.announced or self.section.sizes)]
        self._after_part = self._named_by_colon = False
        chains: list[Chain] = []
        while self._at < len(self.items):
            if self.items[self._at].kind == "q":
                chains.append(self._chain())
            else:
                self._step(self.items[self._at])
        self._unit_at_the_end(chains)
        share_units(chains)
        share_labels(chains, self.items)
        return chains

    def _unit_at_the_end(self, chains: list[Chain]) -> None:
        """`22 wide, 15 deep, 72 tall, all inches`: one unit for a line whose numbers have none."""
        units = {words.UNITS[item.text] for item in self.items if item.kind == "u" and len(item.text) > 1}
        if len(units) == 1 and not any(chain.has_unit for chain in chains):
            for chain in chains:
                chain.unit = next(iter(units))

    def _step(self, item: Item) -> None:
        self._at += 1
        if item.kind == "stop":
            self._pending, self._heading = [], []
            self._governing = [(self.section.scope, self.announced or self.section.sizes)]
        elif item.kind == "open":
            scope = scope_of(_words(self._pending), self.kind)
            outer, sizes = self._governing[-1]
            self._governing.append((scope if scope.narrows else outer, sizes or mentions_size(_words(self._pending))))
            self._pending.append(item)
        elif item.kind == "close":
            if len(self._governing) > 1:
                self._governing.pop()
            self._pending.append(item)
        elif item.kind == "colon" and not any(other.kind in {"a", "o"} for other in self._pending):
            self._govern()
        elif item.kind == "comma" or (item.kind == "w" and item.text in words.STOPPERS and not self._label_waits()):
            # "suits windows 120 cm wide" goes on about windows.
            left = [item] if item.kind == "w" and item.text in words.NEVER else []
            self._pending = self._pending if self._lists_axes() else left
        else:
            self._pending.append(item)

    def _govern(self) -> None:
        said = _words(self._pending)
        self._heading = said.split()
        scope, sizes = scope_of(said, self.kind), mentions_size(said)
        outer = self._governing[0][0] if len(self._governing) == 1 else self._governing[-1][0]
        if scope.narrows or sizes:
            self._governing[-1] = (scope if scope.narrows or outer.tier != NEVER else outer, True)
            self._named_by_colon = len(self._governing) == 1
        self._pending = []

    def _label_waits(self) -> bool:
        """Whether an axis label still waits for its number: "Height with legs: 33 in", "height including pot 95 cm"."""
        noun = any(item.kind == "a" and item.text in words.AXIS_NOUNS for item in self._pending)
        direct = bool(self._pending) and self._pending[-1].kind == "a"
        ahead = [item.kind for item in self.items[self._at : self._at + 6]]
        reached = next((kind for kind in ahead if kind not in {"w", "open", "close", "dot"}), "")
        return noun and (reached == "colon" or (reached == "q" and direct))

    def _lists_axes(self) -> bool:
        following = self.items[self._at] if self._at < len(self.items) else None
        return bool(self._pending) and self._pending[-1].kind == "a" and following is not None and following.kind == "a"

    def _chain(self) -> Chain:
        start = self._at
        labels, label_start, unit = labels_before(self._pending)
        if len(labels) == 1 and label_start is not None and self._names_a_size(label_start):
            labels, label_start = (), None
        order = labels if len(labels) > 1 else ()
        members = [self._member(labels[0] if len(labels) == 1 else None, labels)]
        lists = False
        while len(members) < MAX_MEMBERS and (link := self._link(members[-1], ordered=bool(order))) is not None:
            # "Length 160/210 cm" states one side twice.
            lists = lists or (self._kind_at(self._at) == "slash" and link[1] == members[-1].axis)
            self._at, axis = link
            members.append(self._member(axis, ()))
        order = order or self._order_after() or (self.section.order if len(members) > 1 else ())
        apply_order(members, order)
        if not lists:
            second_length(members)
        if label_start is not None and self._pending[label_start].text in words.AXIS_NOUNS:
            members[0].spelled_out = True
        elif label_start is not None and len(labels) == 1:
            members[0].by_letter = _is_letter(self._pending[label_start])
        self._equivalent_chain(members)
        after = self._words_after()
        end = self.items[self._at - 1]
        first = self._pending[label_start] if label_start is not None else self.items[start]
        chain = Chain(members, (first.start if first.start >= 0 else self.items[start].start, end.end))
        self._give_scope(chain, after)
        chain.unit = unit or self._unit_in_brackets() or self.section.unit
        chain.called = self._unknown_name(chain)
        self._pending = []
        return chain

    def _unknown_name(self, chain: Chain) -> str:
        """The unknown noun that numbers are said of: `condo 30 x 30 cm`, `Crate: 40 x 30 cm`, `Height plinth 9 cm`."""
        said = self._between_label_and_number() if chain.labelled and len(chain.members) == 1 else []
        if not chain.labelled and len(chain.members) > 1:
            said = [item.text for item in self._pending if item.kind == "w"] or self._heading
        named = " ".join(said)
        known = size_names(named) or (self.kind and self.kind.pattern.search(named))
        if self.in_title or chain.scope.tier != NEUTRAL or known or not 1 <= len(said) <= 2:
            return ""
        return "" if any(word in words.SAID or len(word) < 3 for word in said) else named

    def _between_label_and_number(self) -> list[str]:
        start = next((at for at, item in enumerate(self._pending) if item.text in words.AXIS_NOUNS), None)
        if start is None or any(item.kind == "colon" for item in self._pending):
            return []
        return [item.text for item in self._pending[start + 1 :] if item.kind == "w"]

    def _unit_in_brackets(self) -> str | None:
        """The unit in `120 L x 70 W x 40 H (cms)`."""
        ahead = [item for item in self.items[self._at : self._at + 4] if item.text != "in" or item.kind == "u"]
        bracketed = [item.kind for item in ahead[:3]] == ["open", "u", "close"]
        return words.UNITS[ahead[1].text] if bracketed and len(ahead[1].text) > 1 else None

    def _names_a_size(self, label_start: int) -> bool:
        """Whether an adjective tells sizes apart rather than axes: `Tall: 5" D x 11" H`."""
        label, after = self._pending[label_start], self._at + 1
        colon = any(item.kind == "colon" for item in self._pending[label_start:])
        labelled = self._kind_at(after) == "a" and not self._leads(after, labelled=True)
        return colon and label.text in words.AXIS_ADJECTIVES and labelled and self.items[after].axes != label.axes

    def _give_scope(self, chain: Chain, after: str) -> None:
        if len(chain.members) >= 3 and chain.labelled and scope_of(after, self.kind).tier == PART:
            # `L 203 x W 98 x H 110 cm (headboard)` says what is so high.
            after = ""
        said = f"{self._words_before(chain)} {after} {' '.join(member.label for member in chain.members)}"
        local, (outer, sizes) = scope_of(said, self.kind), self._governing[-1]
        chain.scope = local if local.narrows and outer.tier != NEVER else outer
        chain.vague = any(item.text in words.VAGUE for item in self._pending[-3:])
        chain.unsure = any(item.text in words.UNSURE for item in self._pending)
        chain.announced = sizes or mentions_size(said)
        chain.after_part = self._after_part and not chain.announced
        self._after_part = self._after_part or local.tier > 4
        if len(self._governing) > 1 and local.tier == PART and outer.tier == NEUTRAL:
            # "(pot 14 cm high, 16 cm in diameter)"
            self._governing[-1] = (local, sizes)
        if local.name == "package":
            self._governing[-1] = (local, True)
        elif self._named_by_colon and len(chain.members) == 1 and chain.members[0].axis is None:
            # "Opening: 4 in" names its own number and no more.
            self._governing = [(self.section.scope, self.announced or self.section.sizes)]
        self._named_by_colon = False

    def _words_before(self, chain: Chain) -> str:
        """The words that lead to a chain; of a bare number's those from the product's own noun: `Pillow Sofa 86"`.

        A title's words before a bare number are the product's name: "Rug pad 8x10".
        """
        # "under 40 inches" is a loose figure, not what is underneath.
        loose = bool(self._pending) and self._pending[-1].text in words.VAGUE
        said = _words(self._pending[:-1] if loose else self._pending)
        if self.kind is None or chain.labelled:
            return said
        if self.in_title and not self.kind.has("flat") and scope_of(said, self.kind).tier == PART:
            return ""
        nouns = [match for match in self.kind.pattern.finditer(said) if match.end() == len(said)]
        return nouns[-1].group() if nouns else said

    def _member(self, axis: words.Axis | None, labels: tuple[words.Axis, ...]) -> Member:
        """The quantity here with its equivalents (`84" (213 cm)`) and a label after it (`84" W`, `19" seat height`)."""
        quantity = self.items[self._at].quantity
        assert quantity is not None
        member = Member([quantity], axis)
        self._at += 1
        for _ in range(2):
            self._equivalents(member)
            self._label_after(member, labelled=bool(axis or labels))
        self._equivalents(member)
        return member

    def _equivalents(self, member: Member) -> None:
        ahead = self.items[self._at : self._at + 4]
        kinds = [item.kind for item in ahead]
        if kinds[:3] == ["open", "q", "close"] and ahead[1].quantity:
            self._add_equivalent(member, ahead[1].quantity, 3)
        elif kinds[:4] == ["open", "q", "w", "close"] and ahead[1].quantity and ahead[2].text in words.EXACT:
            # "just under 40 inches wide (39.4" exactly)"
            self._add_equivalent(member, ahead[1].quantity, 4)
            member.quantities[:] = member.quantities[-1:]
        elif kinds[:4] == ["open", "q", "a", "close"] and ahead[1].quantity:
            self._add_equivalent(member, ahead[1].quantity, 4)
        elif (
            len(ahead) > 1
            and kinds[1] == "q"
            and ahead[1].quantity
            and (kinds[0] in _SAME or ahead[0].text in {"or", "|", "oder", "ou"})
        ):
            unit, other = member.quantities[0].unit, ahead[1].quantity.unit
            if unit and other and unit != other:
                self._add_equivalent(member, ahead[1].quantity, 2)

    def _add_equivalent(self, member: Member, quantity: Quantity, length: int) -> None:
        if quantity.unit:
            member.quantities.append(quantity)
        self._at += length

    def _label_after(self, member: Member, *, labelled: bool) -> None:
        at, said = self._at, list[str]()
        while at < len(self.items) and len(said) < 3 and self._may_stand_before_a_label(self.items[at]):
            said += [self.items[at].text] if self.items[at].kind == "w" else []
            at += 1
        if at >= len(self.items) or self.items[at].kind != "a":
            return
        label = self.items[at]
        direct = at == self._at or self.items[at - 1].kind in {"dash", "open", "dot"}
        if (label.text in words.AXIS_LETTERS and not direct) or self._leads(at, labelled or member.axis is not None):
            return
        if member.axis is None and not labelled:
            member.axis = label.axes[0]
            member.label = " ".join(said)
            member.spelled_out = label.text in words.AXIS_NOUNS
            member.by_letter = _is_letter(label)
        elif member.axis != label.axes[0]:
            return
        closes = at + 1 < len(self.items) and self.items[at + 1].kind == "close" and self.items[at - 1].kind == "open"
        self._at = at + (2 if closes else 1)

    def _may_stand_before_a_label(self, item: Item) -> bool:
        known = (
            item.text in {"in", "of", "total", "overall", "en", "de", "sitting", "at", "its", "the", "from"}
            or item.text in words.PARTS
        )
        return item.kind in {"dash", "open", "dot"} or (item.kind == "w" and known)

    def _leads(self, at: int, labelled: bool) -> bool:
        """Whether the label here belongs to what follows: `213 cm Depth: 91 cm`."""
        following = self.items[at + 1] if at + 1 < len(self.items) else None
        if following is None:
            return False
        if self.items[at].text[0] >= "\u3000":
            # Japanese labels stand before their numbers.
            return True
        if following.kind == "comma" and self.items[at - 1].kind == "open":
            # "60 x 35 x 180 cm (width, depth, height)"
            return self._kind_at(at + 2) == "a" and self._kind_at(at + 3) in {"comma", "close"}
        if following.kind in {"x", "slash"}:
            return self._kind_at(at + 2) == "a" and self._kind_at(at + 3) not in {"q", "colon", "dot"}
        if following.kind == "colon":
            return at + 2 < len(self.items) and self.items[at + 2].kind in {"q", "dot", "w"}
        return labelled and following.kind in {"q", "dot"}

    def _kind_at(self, at: int) -> str:
        return self.items[at].kind if at < len(self.items) else ""

    def _link(self, last: Member, *, ordered: bool) -> tuple[int, words.Axis | None] | None:
        """Where the chain goes on after `x`, `/` or `-`, and the label found on the way (`x D 36`)."""
        at = self._at
        if self._kind_at(at) == "dot" and self._kind_at(at + 1) in {"x", "slash"}:
            at += 1
        if (
            last.axis
            and self._kind_at(at) == "a"
            and self.items[at].text in words.AXIS_LETTERS
            and self._kind_at(at + 1) == "q"
        ):
            # `W140 D30 H75`
            return at + 1, self.items[at].axes[0]
        if self._kind_at(at) not in {"x", "slash", "dash"}:
            return None
        joint, axis = self.items[at].kind, None
        at += 1
        while at < len(self.items) and (
            self.items[at].kind in {"a", "open", "close", "dot", "colon"} or self._is_height_by_a(at, last)
        ):
            if joint == "dash" and axis is not None and self.items[at].kind == "colon":
                # "Seat height: 48 cm - Width: 56 cm" are two statements.
                return None
            axis = (
                self.items[at].axes[0] if self.items[at].kind == "a" else "height" if self._kind_at(at) == "w" else axis
            )
            at += 1
        if at >= len(self.items) or self.items[at].kind != "q":
            return None
        # "60 cm / 80 cm / 100 cm" lists the sizes on offer.
        measured = last.axis is None and last.quantities[0].unit is not None
        if joint == "slash" and axis is None and not ordered and last.axis not in {None, "diameter"}:
            # "L 60/45/30 cm" are three lengths.
            return at, last.axis
        separate = joint != "x" and axis is None and (last.axis == "diameter" or measured)
        return None if separate and not ordered else (at, axis)

    def _is_height_by_a(self, at: int, last: Member) -> bool:
        """Italian `L 95 x P 42 x A 85`: altezza."""
        return last.axis == "depth" and self.items[at].text == "a" and self._kind_at(at + 1) in {"q", "dot"}

    def _order_after(self) -> tuple[words.Axis, ...]:
        """The order in `110 x 60 x 42 cm (L x W x H)`."""
        at = self._at
        if at < len(self.items) and self.items[at].kind in {"open", "dash"}:
            at += 1
        axes: list[words.Axis] = []
        while at < len(self.items) and self.items[at].kind in {"a", "o", "x", "slash", "comma"}:
            axes += self.items[at].axes
            at += 1
        if len(axes) < 2 or (at < len(self.items) and self.items[at].kind in {"colon", "q"}):
            return ()
        self._at = at + (1 if at < len(self.items) and self.items[at].kind == "close" else 0)
        return tuple(axes)

    def _equivalent_chain(self, members: list[Member]) -> None:
        """The whole chain again in other units: `84 x 36 x 33 in (213 x 91 x 84 cm)`."""
        at = self._at
        opener = self.items[at] if at < len(self.items) else None
        if (
            len(members) < 2
            or opener is None
            or not (opener.kind in {"open", "slash", "colon"} or opener.text in {"or", "oder"})
        ):
            return
        again: list[Quantity] = []
        at += 1
        while self._kind_at(at) in {"q", "x", "a", "dot", "slash"} and len(again) <= len(members):
            quantity = self.items[at].quantity
            again += [quantity] if quantity else []
            at += 1
        if len(again) != len(members) or not again[-1].unit:
            return
        if opener.kind != "open" and not _same_in_other_units(members, again):
            return
        for member, quantity in zip(members, again, strict=True):
            member.quantities.append(replace(quantity, unit=quantity.unit or again[-1].unit))
        self._at = at + (1 if at < len(self.items) and self.items[at].kind == "close" else 0)

    def _words_after(self) -> str:
        """Up to four words that belong to the chain before them: "seat", "(overall)", "carton size"."""
        at = self._at
        bracketed = at < len(self.items) and self.items[at].kind == "open"
        at += bracketed
        said: list[str] = []
        while at < len(self.items) and len(said) < 5 and self._follows(self.items[at], bracketed=bracketed):
            said.append(self.items[at].text)
            at += 1
        following = self.items[at].kind if at < len(self.items) else "stop"
        if (bracketed and following != "close") or (not bracketed and following in {"a", "o", "colon", "q", "u"}):
            return ""
        self._at = at + bracketed
        return " ".join(said)

    def _follows(self, item: Item, *, bracketed: bool) -> bool:
        if bracketed:
            words_of_it = item.kind == "w" and item.text not in {"from", "above"}
            return words_of_it or item.kind in {"n", "dash", "dot"} or (item.kind == "a" and len(item.text) > 3)
        return item.kind == "w" and item.text not in words.AFTERWARDS


def _same_in_other_units(members: list[Member], again: list[Quantity]) -> bool:
    """Whether both say one size (`84 x 36 in / 213 x 91 cm`) rather than two on offer (`18x24 or 24x36 in`)."""
    unit = members[-1].quantities[0].unit
    if unit is not None:
        return unit != again[-1].unit
    ratios = [other.high / max(member.quantities[0].high, 1e-6) for member, other in zip(members, again, strict=True)]
    return min(ratios) * 1.1 > max(ratios) and min(abs(log(max(ratios) / known)) for known in _UNIT_RATIOS) < 0.05


def _is_letter(label: Item) -> bool:
    return label.text in words.AXIS_LETTERS and len(label.text) == 1


def _words(items: list[Item]) -> str:
    return " ".join(item.text for item in items if item.kind in {"w", "n"} or (item.kind == "a" and len(item.text) > 3))
