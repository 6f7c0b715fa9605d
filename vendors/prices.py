"""What a call costs: a dated table of prices as data, and the sum over a call's usage. Unknown is None, never 0."""

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from vendors.base import NOTHING_USED, Reply, Usage, VendorError

FREE = frozenset({"local", "recorded"})  # computed here, or answered from what was paid for before
UNBILLED = "unbilled"
MICRO = Decimal("0.000001")  # what a cost column keeps
# A date, or Gemini's three digits ("Gemini models", version name patterns).
VERSION = re.compile(r"-(\d{4}-?\d{2}-?\d{2}|\d{3})")
MILLION = Decimal(1_000_000)
# An estimate's assumptions, for a call that has not been made: English has about 4 characters a token, Gemini 3 takes
# about 1,100 tokens for a picture of any size, and an answer in JSON with its thoughts is about as long.
CHARACTERS_PER_TOKEN, TOKENS_PER_IMAGE, TOKENS_OUT = 4, 1100, 1500
CHARACTERS, IMAGES = 6000, 3
TOKENS_OF_PICTURE = 1120  # of 1K, the size that image models make unless they are asked for another


class PricesInvalid(ValueError):
    """The price table cannot be used; one line naming file, place and problem."""


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars to a millionth, and where the figure is from.

    The source is `vendor` (the service said so), `prices:` and the date of the price, `local` (computed here) or
    `unbilled` (an error that the service does not bill).
    """

    usd: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of one model from one moment on: US dollars per million tokens of a bucket, per picture made, per call.

    None where a service has no such price. Thinking is billed as output where it has no price of its own.
    """

    vendor: str
    model: str
    since: datetime
    input: Decimal | None = None
    input_image: Decimal | None = None
    output: Decimal | None = None
    cached: Decimal | None = None
    thinking: Decimal | None = None
    image_tokens: Decimal | None = None
    image: Decimal | None = None
    call: Decimal | None = None

    @property
    def version(self) -> str:
        """The date of the price, with the time where it changed within a day."""
        since = self.since.astimezone(UTC)
        midnight = since.time() == time.min
        return f"{since:%Y-%m-%d}" if midnight else f"{since:%Y-%m-%dT%H:%MZ}"

    @property
    def shown(self) -> list[tuple[str, Decimal]]:
        """What it charges for, in words for a page, with the amounts that there are."""
        words = {
            "in": self.input, "pictures in": self.input_image, "out": self.output, "cached": self.cached,
            "thinking": self.thinking, "picture tokens": self.image_tokens, "a picture": self.image,
            "a call": self.call,
        }  # fmt: skip
        return [(word, amount) for word, amount in words.items() if amount is not None]

    def cost_of(self, usage: Usage) -> Decimal | None:
        """The cost of an answer in US dollars, unrounded; None when a bucket that counts, or its price, is not known.

        Cached and thinking tokens that a service does not tell apart are in its input and output.
        """
        parts = [
            _part(usage.tokens_in, self.input, told=self.input is not None),
            _part(usage.tokens_in_image, self.input_image, told=self.input_image is not None),
            _part(usage.tokens_out, self.output, told=self.output is not None),
            _part(usage.tokens_cached, self.cached),
            _part(usage.tokens_thinking, self.thinking if self.thinking is not None else self.output),
            self._pictures(usage),
            None if self.call is None else self.call * MILLION,
        ]
        if any(part is _UNKNOWN for part in parts):
            return None
        return sum((part for part in parts if part is not None), Decimal(0)) / MILLION

    def _pictures(self, usage: Usage) -> Decimal | None:
        """Pictures made: by their tokens where both sides know them, else by the piece."""
        if self.image_tokens is not None and usage.tokens_image is not None:
            return _part(usage.tokens_image, self.image_tokens)
        if self.image is None and self.image_tokens is None:
            return _part(usage.images, None)
        piece = None if self.image is None else self.image * MILLION
        return _part(usage.images, piece, told=True)


_UNKNOWN = Decimal("NaN")


def _part(count: int | None, price: Decimal | None, *, told: bool = False) -> Decimal | None:
    """Count times price; `_UNKNOWN` for something without a price, or for nothing where it should have been `told`."""
    if count is None:
        return _UNKNOWN if told else None
    if count == 0:
        return None
    return _UNKNOWN if price is None else count * price


@dataclass(frozen=True, slots=True)
class Prices:
    """All prices that hold, held or will hold."""

    entries: tuple[Price, ...] = ()
    unbilled: frozenset[str] = frozenset()  # vendors that do not bill what they answer with an HTTP error status

    def find(self, vendor: str, model: str, at: datetime) -> Price | None:
        """The price of a model at a moment; of several that fit its name the exact or longest, then the latest one.

        A name fits what says it, with a version at its end too, and patterns.
        """
        fitting = [
            price
            for price in self.entries
            if price.vendor == vendor
            and price.since <= at
            and (fnmatchcase(model, price.model) or is_version(price.model, model))
        ]
        return max(fitting, key=lambda price: (price.model == model, len(price.model), price.since), default=None)

    def knows(self, vendor: str, model: str, at: datetime) -> bool:
        """Whether what a model costs at a moment is known before it is asked."""
        return vendor in FREE or self.find(vendor, model, at) is not None

    def cost(self, vendor: str, asked: str, outcome: Reply | VendorError, at: datetime) -> Cost | None:
        """What a call cost that was begun at a moment, however it ended; None where that is not known.

        An error may have come after work that is paid for: then its usage counts. One that says nothing of its usage
        (a time-out, half an answer) has a cost that nobody knows.
        """
        if outcome.cost_usd is not None:
            told = Decimal(str(outcome.cost_usd))
            return Cost(told.quantize(MICRO, ROUND_HALF_EVEN), outcome.cost_source or "vendor")
        if vendor in FREE:
            return Cost(Decimal(0), "local")
        if isinstance(outcome, VendorError) and (
            outcome.usage == NOTHING_USED or (vendor in self.unbilled and _has_error_status(outcome))
        ):
            return Cost(Decimal(0), UNBILLED)
        price = self._price_of(vendor, asked, getattr(outcome, "model_version", ""), at)
        usd = price.cost_of(outcome.usage) if price is not None else None
        if price is None or usd is None:
            return None
        return Cost(usd.quantize(MICRO, ROUND_HALF_EVEN), f"prices:{price.version}")

    def _price_of(self, vendor: str, asked: str, answered: str, at: datetime) -> Price | None:
        """The price of the model that answered, which may be another than was asked for.

        The version of a model (`gpt-5.4-mini-2026-03-17`) has the price of the name that was asked for; any other
        longer name (`gpt-5.4-pro`) is another model's.
        """
        price = self.find(vendor, answered, at) if answered else None
        same = not answered or is_version(asked, answered)
        return price or (self.find(vendor, asked, at) if same else None)

    def estimate(
        self, vendor: str, model: str, at: datetime, *, characters: int = CHARACTERS, images: int = IMAGES
    ) -> Decimal | None:
        """About what a call will cost in US dollars, before it is made; None where its price is not known.

        `characters` and `images` are what is sent: by default a prompt and pictures such as ours.
        """
        if vendor in FREE:
            return Decimal(0)
        price = self.find(vendor, model, at)
        if price is None:
            return None
        makes = price.image is not None or price.image_tokens is not None
        text, pictures = characters // CHARACTERS_PER_TOKEN, TOKENS_PER_IMAGE * images
        apart = price.input_image is not None
        usage = Usage(
            tokens_in=text if apart else text + pictures,
            tokens_in_image=pictures if apart else None,
            tokens_out=0 if makes or price.output is None else TOKENS_OUT,
            tokens_image=TOKENS_OF_PICTURE if price.image_tokens is not None else None,
            images=int(makes),
        )
        return price.cost_of(usage if price.input is not None else Usage(images=int(makes)))


def is_version(name: str, longer: str) -> bool:
    """Whether a model's name is another one with a date or number at its end, by which services name its versions."""
    return longer.startswith(name) and VERSION.fullmatch(longer, len(name)) is not None


def _has_error_status(error: VendorError) -> bool:
    status = error.response.get("status")
    return isinstance(status, int) and status >= 400


def _moment(value: Any) -> Any:
    """A date is its first instant in UTC; a moment says its own time zone."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs its zone: 2026-11-21T12:00:00Z")
        return value
    if isinstance(value, date):
        return datetime.combine(value, time.min, UTC)
    raise ValueError("a date (2026-11-01) or a time with zone (2026-11-21T12:00:00Z), without quotes")


_Amount = Annotated[Decimal | None, Field(default=None, ge=0, allow_inf_nan=False)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    vendor: str = Field(min_length=1)
    model: str = Field(min_length=1)
    since: Annotated[datetime, BeforeValidator(_moment)]
    input: _Amount
    input_image: _Amount
    output: _Amount
    cached: _Amount
    thinking: _Amount
    image_tokens: _Amount
    image: _Amount
    call: _Amount

    @model_validator(mode="after")
    def _says_a_price(self) -> "_Entry":
        amounts = self.model_dump(exclude={"vendor", "model", "since"}).values()
        if all(amount is None for amount in amounts):
            raise ValueError("an entry needs at least one price")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    unbilled_errors: list[str] = Field(default_factory=list)
    prices: list[_Entry] = Field(default_factory=list)


def load_prices(path: Path) -> Prices:
    """Read a price table.

    Raises:
        PricesInvalid: the file is missing, is not TOML, says something that is no price, or says one twice.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError as error:
        raise PricesInvalid(f"{path.name}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PricesInvalid(f"{path.name}: cannot be read as text") from error
    except tomllib.TOMLDecodeError as error:
        raise PricesInvalid(f"{path.name}: not TOML: {error}") from error
    try:
        file = _File.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        raise PricesInvalid(f"{path.name}: {place}: {first['msg']}") from error
    entries = tuple(Price(**dict(entry)) for entry in file.prices)
    _refuse_twice(entries, path.name)
    return Prices(entries, frozenset(file.unbilled_errors))


def _refuse_twice(entries: tuple[Price, ...], name: str) -> None:
    seen = set()
    for number, price in enumerate(entries):
        key = (price.vendor, price.model, price.since)
        if key in seen:
            text = f"{price.vendor}/{price.model} has two prices since {price.version}"
            raise PricesInvalid(f"{name}: prices.{number}: {text}")
        seen.add(key)
