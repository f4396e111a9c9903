"""The only reader of the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the instant in UTC and the calendar day at the bank's own place of business."""

    business_timezone: ZoneInfo

    def now(self) -> datetime:
        """The present instant, aware, in UTC, with microseconds."""
        return datetime.now(UTC)

    def business_date(self, instant: datetime | None = None) -> date:
        """The bank's calendar day at `instant` (default: now)."""
        return (instant or self.now()).astimezone(self.business_timezone).date()
