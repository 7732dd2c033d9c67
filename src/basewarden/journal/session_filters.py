"""The filters of the sessions list as the parameters of its address."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AfterValidator

from basewarden.core.ids import parse_id
from basewarden.core.text import check_storable
from basewarden.errors import Invalid
from basewarden.journal.sessions import SessionFilter
from basewarden.web import AddressParameters

MAX_TABLE = 140
LAST_YEAR = 9000
PERIODS = {"today": "Today", "7d": "Last 7 days", "30d": "Last 30 days", "custom": "Custom time"}
_DAYS = {"7d": 7, "30d": 30}
_Text = Annotated[str, Query(max_length=MAX_TABLE), AfterValidator(check_storable)]


class ListParameters(AddressParameters):
    """As typed: a form sends fields that are left empty as "". `who` is an agent's or a person's id.

    `period` is one of PERIODS; only with "custom" do `since` and `until` count.
    """

    status: _Text = ""
    who: _Text = ""
    table: _Text = ""
    since: _Text = ""
    until: _Text = ""
    period: _Text = ""

    @property
    def has_filter(self) -> bool:
        return any((self.who, self.table, self.since, self.until, self.period not in ("", "custom")))

    @property
    def short_table(self) -> str:
        return self.table.strip().removeprefix("public.")

    def read(self) -> SessionFilter:
        """Raises Invalid for an invalid date or id."""
        if self.period not in ("", *PERIODS):
            raise Invalid.field("period", "Use today, 7d, 30d or custom.")
        since, until = _read_date("since", self.since), _read_date("until", self.until)
        caller = parse_id(self.who) if self.who else None
        if self.who and caller is None:
            raise Invalid.field("who", "This is not the id of an agent or a person.")
        return SessionFilter(
            status=self.status or None,
            caller_id=caller,
            table=_qualify(self.table.strip()),
            since=_find_beginning(self.period) or since,
            until=until + timedelta(days=1) if until is not None else None,
        )


def read_parameters(
    status: _Text = "",
    who: _Text = "",
    agent: _Text = "",
    table: _Text = "",
    since: _Text = "",
    until: _Text = "",
    period: _Text = "",
) -> ListParameters:
    """Dates without a period are a custom one; with another period, dates do not count."""
    period = period or ("custom" if since or until else "")
    since, until = (since, until) if period == "custom" else ("", "")
    return ListParameters(status=status, who=who or agent, table=table, since=since, until=until, period=period)


ParametersDep = Annotated[ListParameters, Depends(read_parameters)]


def _find_beginning(period: str) -> datetime | None:
    """The beginning of the day in UTC, or as many days ago as the period has."""
    now = datetime.now(UTC)
    if period == "today":
        return now.replace(hour=0, minute=0, second=0, microsecond=0)
    return now - timedelta(days=_DAYS[period]) if period in _DAYS else None


def _qualify(table: str) -> str | None:
    return (table if "." in table else f"public.{table}") if table else None


def _read_date(field: str, text: str) -> datetime | None:
    """Returns the beginning of the day in UTC."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid.field(field, "Use a date such as 2030-12-31.") from None
    return day if day.year < LAST_YEAR else None
