"""Who asks, and when: every write carries one of these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Author:
    """Who does something (`staff:3`, `customer:17`, `import:legacy`), at which instant and business day."""

    who: str
    at: datetime
    business_date: date
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What the audit trail keeps: who did what to whom (`customer:17`), when, why, and what changed."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    reason: str | None
    details: dict[str, Any]
    request_id: str | None
