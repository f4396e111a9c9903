"""What the API's bodies are made of: strict types that are read and documented from the same words."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Final

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

from bank import money
from bank.money import MAX_MINOR_UNITS

_RFC_3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d{1,18}", re.ASCII)


class Model(BaseModel):
    """A JSON object of exactly these fields; an unknown one is refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _instant(given: Any) -> Any:
    """RFC 3339 and nothing else: pydantic would also take a number of seconds."""
    if not isinstance(given, str):
        return given
    if not _RFC_3339.fullmatch(given):
        raise ValueError("must be an RFC 3339 instant with its offset, like 2026-03-31T12:00:00Z")
    try:
        # Databases keep microseconds.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", given.upper())).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie in the years 1 to 9999") from error


def _day(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    if not _DAY.fullmatch(given):
        raise ValueError("must be a day like 2026-03-31")
    return date.fromisoformat(given)


def _whole(given: Any) -> Any:
    """A whole number in an address: digits only."""
    if isinstance(given, str):
        if not _WHOLE.fullmatch(given):
            raise ValueError("must be a whole number in digits")
        return int(given)
    return given


def _told(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_instant),
    PlainSerializer(_told, return_type=str),
    Field(json_schema_extra={"type": "string", "format": "date-time"}, examples=["2026-03-31T12:00:00Z"]),
]
Day = Annotated[date, BeforeValidator(_day), Field(examples=["2026-03-31"])]
#: For parameters in an address.
Whole = Annotated[int, BeforeValidator(_whole)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(description="ISO 4217.", examples=["USD"])]
AccountNumber = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{9,10}$"), Field(description="As on the statement.", examples=["3602000006"])
]
#: What people read, without control characters.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]


class Money(Model):
    """An exact amount: a whole number of the currency's smallest unit. 1250 and USD are 12.50 US dollars."""

    minor_units: int = Field(ge=-(2**63), le=2**63 - 1, examples=[1250])
    currency: Currency

    @classmethod
    def of(cls, amount: money.Money) -> Money:
        """An amount of the bank's."""
        return cls(minor_units=amount.minor_units, currency=amount.currency)


class Amount(Model):
    """An amount to move: above zero, in the currency's smallest unit."""

    minor_units: int = Field(ge=1, le=MAX_MINOR_UNITS, examples=[1250])
    currency: Currency

    @property
    def money(self) -> money.Money:
        """The amount as the bank counts it."""
        return money.Money(self.minor_units, self.currency)


class FieldError(Model):
    """What is wrong with one field or parameter."""

    pointer: str | None = Field(None, description="JSON Pointer (RFC 6901) into the body, as a URI fragment.")
    parameter: str | None = Field(None, description="Name of the query's parameter or of the header.")
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457). Match on `code`, which stays the same; `detail` is for people, in their language."""

    type: str = Field(description="Where the error is explained.", examples=["/api/v1/docs#no_such_account"])
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldError] | None = Field(None, description="With code `invalid_request`: each field that is wrong.")
