"""Who asks, and when: every write carries one of these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Author:
    """Who does something (`staff:3`, `customer:17`, `import:legacy`), at which instant and business day."""

    who: str
    at: datetime
    business_date: date
    request_id: str | None = None
