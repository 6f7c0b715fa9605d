"""How the console writes numbers, times and states; unknown is never written as zero."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import wraps
from typing import Any

from django import template
from django.template.base import Parser, Token
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from monitor.pictures import Picture, find_picture, gone_text
from monitor.spending import Spend, spend_of
from monitor.unreadable import MISSHAPEN, readable
from runs.models import Artifact
from shops.models import Shop

register = template.Library()
UNKNOWN = format_html('<span class="unknown">{}</span>', "unknown")
SHAPE = "what is recorded has another shape"
UNREADABLE = format_html('<span class="unknown" title="{}">unreadable</span>', SHAPE.capitalize())
Write = Callable[[Any], str | SafeString]


def measure(write: Write) -> Write:
    """A filter for a number, time or amount; it says `unreadable` of whatever else is recorded in its place."""

    @wraps(write)
    def written(value: Any) -> str | SafeString:
        try:
            return write(value)
        except MISSHAPEN:
            return UNREADABLE

    register.filter(written)
    return written


class Readable(template.Node):
    """A part of a page that shows what was recorded; one line in its place where that cannot be read."""

    def __init__(self, what: str, parts: template.NodeList) -> None:
        self._what, self._parts = what, parts

    def render(self, context: template.Context) -> SafeString:
        """The part."""
        written = readable(self._what, lambda: self._parts.render(context), None)
        if written is not None:
            return written
        return format_html('<p class="note unreadable">{} unreadable: {}.</p>', self._what, SHAPE)


@register.tag("readable")
def readable_part(parser: Parser, token: Token) -> Readable:
    """`{% readable "The timeline is" %}...{% endreadable %}`."""
    _, what = token.split_contents()
    parts = parser.parse(["endreadable"])
    parser.delete_first_token()
    return Readable(what.strip('"'), parts)


@measure
def money(value: Decimal | float | None) -> str | SafeString:
    """US dollars with as many digits as a small amount needs; `unknown` where nobody told."""
    if value is None:
        return UNKNOWN
    amount = Decimal(str(value))
    if amount == 0:
        return "$0"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount.normalize():f}"[:9]


@register.simple_tag
def spent(cost: Decimal | None, unknown: int | None) -> str | SafeString:
    """What is known of a cost, and how many calls have one that nobody knows."""
    if not unknown:
        return money(cost)
    calls = f"{unknown} call{'' if unknown == 1 else 's'}"
    if cost is None:
        return format_html('<span class="unknown" title="What {} cost is not known">unknown</span>', calls)
    title = f"At least this much: what {calls} cost is not known"
    return format_html('<span class="at-least" title="{}">{} + {} unknown</span>', title, money(cost), unknown)


@register.simple_tag
def shop_spend(shop: Shop) -> Spend:
    """What a shop has cost lately."""
    return spend_of(timezone.now(), shop)


@measure
def duration(value: float | None) -> str | SafeString:
    """Milliseconds as a person reads them: 340 ms, 6.4 s, 3 min 20 s."""
    if value is None:
        return UNKNOWN
    if value < 1000:
        return f"{value:.0f} ms"
    seconds = value / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@measure
def age(moment: datetime | None) -> str | SafeString:
    """How long ago, with the exact time in the tooltip."""
    if moment is None:
        return UNKNOWN
    exact = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        exact.isoformat(), exact.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], exact.tzname(), _ago(timezone.now() - moment),
    )  # fmt: skip


def _ago(gone: Any) -> str:
    seconds = max(0, int(gone.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


@measure
def bytes_text(value: int | None) -> str:
    """A size in bytes, kB or MB."""
    if value is None:
        return ""
    if value < 1000:
        return f"{value} B"
    return f"{value / 1000:.1f} kB" if value < 1_000_000 else f"{value / 1e6:.1f} MB"


@measure
def percent(value: float | None) -> str | SafeString:
    """A share 0..1 as a percentage."""
    return UNKNOWN if value is None else f"{value * 100:.1f}".removesuffix(".0") + " %"


@measure
def number(value: float | None) -> str | SafeString:
    """A measured number with four significant digits."""
    return UNKNOWN if value is None else f"{value:,.4g}"


@measure
def signed(value: float) -> str:
    """A difference with its sign and four significant digits; the minus is a real one."""
    return f"{value:+,.4g}".replace("-", "−")


@measure
def signed_percent(value: float) -> str:
    """A change as a part of what was, in percent with its sign."""
    return f"{value * 100:+,.3g} %".replace("-", "−")


@measure
def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{value * 100:+.1f} points".replace("-", "−")


@measure
def signed_duration(value: float) -> str:
    """A difference of times with its sign."""
    return f"{'−' if value < 0 else '+'}{duration(abs(value))}"


@measure
def signed_money(value: Decimal) -> str:
    """A difference of amounts with its sign."""
    return f"{'−' if value < 0 else '+'}{money(abs(value))}"


@register.filter
def known(value: Any) -> Any:
    """The value, or `unknown`."""
    return UNKNOWN if value is None or value == "" else value


@register.simple_tag
def first(*values: Any) -> Any:
    """The first value there is; a lookup that finds nothing counts as none."""
    return next((value for value in values if value), None)


@register.simple_tag
def pill(status: str) -> SafeString:
    """A status as a coloured word."""
    return format_html('<span class="pill pill-{}">{}</span>', status, status)


@register.filter
def short(identifier: Any) -> SafeString:
    """The end of an id or the start of a hash, whole in the tooltip."""
    text = str(identifier or "")
    brief = f"…{text[-8:]}" if len(text) == 26 else text[:12]
    return format_html('<code title="{}">{}</code>', text, brief)


@register.filter
def went(item: Artifact) -> str:
    """When and why a deleted picture went."""
    return gone_text([item])


@register.filter
def words(name: str) -> str:
    """A machine's name in a person's words: `overlaps_furniture` becomes `overlaps furniture`."""
    return str(name).replace("_", " ")


# What the pictures of a pipeline need: a template fed from IR alone has to look things up and scale them.


@register.filter
def get(mapping: Any, key: str) -> Any:
    """The value under a key, or None."""
    return mapping.get(key) if isinstance(mapping, Mapping) else None


@register.filter
def by(rows: Iterable[Mapping[str, Any]] | None, key: str) -> dict[str, Any]:
    """Rows by one of their fields."""
    found = rows if isinstance(rows, list | tuple) else ()
    return {str(row[key]): row for row in found if isinstance(row, Mapping) and key in row}


@register.filter
def times(value: Any, factor: float) -> float:
    """A product, 0 where there is no number."""
    try:
        return round(float(value or 0) * float(factor), 5)
    except MISSHAPEN:
        return 0.0


@register.simple_tag
def box_path(box: Mapping[str, float] | None, width: float, height: float) -> str:
    """A box in fractions of a photo as an SVG path in its pixels; empty without a box, or where it is none."""
    if not box:
        return ""
    try:
        x0, x1 = (round(float(box[name]) * width, 1) for name in ("x0", "x1"))
        y0, y1 = (round(float(box[name]) * height, 1) for name in ("y0", "y1"))
    except MISSHAPEN:
        return ""
    return f"M{x0} {y0}H{x1}V{y1}H{x0}Z"


@register.simple_tag(takes_context=True)
def picture(context: template.Context, reference: Any, name: str = "") -> Picture | None:
    """The picture that IR or input names (`{"$blob": sha256, ...}` or the bare hash), or None when it names none."""
    page = context["page"]
    return find_picture(page.pictures, reference, name, getattr(page, "gone_text", "") or "picture gone")


@register.filter
def plus(value: float, more: float) -> float:
    """A sum, for places in a drawing."""
    return round(value + more, 1)
