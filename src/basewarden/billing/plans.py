"""Decides what a plan allows, and which plan a person has. Pure: nothing here reads a database or a clock.

How a subscription's state is interpreted (field notes, section 7):

- active: entitled until the provider says otherwise. Set to end with its period: entitled until that day, no longer.
- a trial is active, too: its days have begun and no charge has come.
- on_hold, past_due: a charge failed. Everything keeps working for seven days after the day it was due (or until the
  provider's own day, if that is later), so that the person can enter a new card.
- cancelled: entitled until the next billing date, as already paid; without one, until the term ends.
- paused, pending, failed, expired, and every unknown state: not entitled. Nothing that exists is removed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

GRACE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class BillingPlan:
    """`members`, of one connection, include its owner. None = no limit."""

    key: str
    title: str
    connections: int | None
    members: int | None
    rank: int

    @property
    def invitations(self) -> bool:
        """True where a connection may have other members than its owner."""
        return self.members is None or self.members > 1


@dataclass(frozen=True, slots=True)
class Catalog:
    """The limits, in one place. A deployment without billing gives every person `unlimited`."""

    free: BillingPlan = BillingPlan("free", "Free", 3, members=1, rank=0)
    hosted: BillingPlan = BillingPlan("hosted", "Hosted", 50, members=20, rank=1)
    team: BillingPlan = BillingPlan("team", "Team", None, members=None, rank=2)
    unlimited: BillingPlan = BillingPlan("unlimited", "Self-hosted", None, members=None, rank=3)

    @property
    def granted(self) -> tuple[BillingPlan, ...]:
        """Lists the plans that an operator may grant."""
        return (self.hosted, self.team)

    def find(self, key: str) -> BillingPlan | None:
        return next((plan for plan in (self.free, *self.granted) if plan.key == key), None)

    def of_product(self, _product_id: str) -> BillingPlan:
        """One product is sold. An earlier product with another price counts as the same plan."""
        return self.hosted


CATALOG = Catalog()


class PlanState(StrEnum):
    UNLIMITED = "unlimited"
    FREE = "free"
    PENDING = "pending"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    ENDED = "ended"
    GRANTED = "granted"


class Problem(StrEnum):
    """A problem that the person should act on."""

    PAYMENT_FAILED = "payment_failed"
    PAUSED = "paused"
    SETUP_FAILED = "setup_failed"


class Subscribed(StrEnum):
    """The provider's states that have a meaning here."""

    PENDING = "pending"
    ACTIVE = "active"
    ON_HOLD = "on_hold"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FAILED = "failed"
    EXPIRED = "expired"


RUNNING = frozenset({Subscribed.ACTIVE, Subscribed.ON_HOLD, Subscribed.PAST_DUE, Subscribed.PAUSED})
"""A person with a subscription in one of these states may not have a second one."""


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """The newest state that we received. `status` is an open set."""

    subscription_id: str
    product_id: str
    status: str
    started_at: datetime
    trial_days: int = 0
    next_billing_at: datetime | None = None
    ends_at_period_end: bool = False
    past_due_until: datetime | None = None
    expires_at: datetime | None = None

    @property
    def trial_ends_at(self) -> datetime | None:
        return self.started_at + timedelta(days=self.trial_days) if self.trial_days > 0 else None

    def is_trial(self, now: datetime) -> bool:
        ends = self.trial_ends_at
        return self.status == Subscribed.ACTIVE and ends is not None and now < ends


@dataclass(frozen=True, slots=True)
class Grant:
    plan: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Entitlement:
    """`until` is when the plan ends or renews, if known; `state` and `problem` are for the page."""

    plan: BillingPlan
    state: PlanState
    until: datetime | None = None
    problem: Problem | None = None

    def has_room(self, used: int) -> bool:
        return self.plan.connections is None or used < self.plan.connections

    def has_member_room(self, used: int) -> bool:
        return self.plan.members is None or used < self.plan.members


UNLIMITED = Entitlement(CATALOG.unlimited, PlanState.UNLIMITED)


def decide(
    subscriptions: Iterable[SubscriptionState], grants: Sequence[Grant], now: datetime, catalog: Catalog = CATALOG
) -> Entitlement:
    """Returns the best current entitlement; of equal ones, the one that lasts longest.

    A problem of a subscription is reported even if a grant gives a better plan.
    """
    newest_first = sorted(subscriptions, key=lambda one: (one.started_at, one.subscription_id), reverse=True)
    read = [_read(one, now, catalog) for one in newest_first]
    given = [_read_grant(grant, catalog) for grant in grants if now < grant.until]
    best = max([*read, *given], key=lambda one: _weigh(one, now), default=Entitlement(catalog.free, PlanState.FREE))
    problem = best.problem or next(
        (one.problem for one in read if one.problem and best.state == PlanState.GRANTED), None
    )
    return Entitlement(best.plan, best.state, best.until, problem)


def _read(one: SubscriptionState, now: datetime, catalog: Catalog) -> Entitlement:
    plan = catalog.of_product(one.product_id)
    ended = Entitlement(catalog.free, PlanState.ENDED)
    match one.status:
        case Subscribed.ACTIVE if one.ends_at_period_end:
            return _while_paid(plan, one.next_billing_at or one.expires_at, now, ended)
        case Subscribed.ACTIVE:
            state = PlanState.TRIALING if one.is_trial(now) else PlanState.ACTIVE
            return Entitlement(plan, state, one.next_billing_at)
        case Subscribed.ON_HOLD | Subscribed.PAST_DUE:
            return _read_past_due(plan, one, now, catalog)
        case Subscribed.CANCELLED:
            return _while_paid(plan, one.next_billing_at or one.expires_at, now, ended)
        case Subscribed.PAUSED:
            return Entitlement(catalog.free, PlanState.PAUSED, problem=Problem.PAUSED)
        case Subscribed.PENDING:
            return Entitlement(catalog.free, PlanState.PENDING)
        case Subscribed.FAILED:
            return Entitlement(catalog.free, PlanState.ENDED, problem=Problem.SETUP_FAILED)
        case _:
            return ended


def _while_paid(plan: BillingPlan, until: datetime | None, now: datetime, ended: Entitlement) -> Entitlement:
    return Entitlement(plan, PlanState.CANCELLED, until) if until is not None and now < until else ended


def _read_past_due(plan: BillingPlan, one: SubscriptionState, now: datetime, catalog: Catalog) -> Entitlement:
    ends = [one.next_billing_at + GRACE] if one.next_billing_at else []
    ends += [one.past_due_until] if one.past_due_until else []
    until = max(ends, default=None)
    has_grace = until is not None and now < until
    return Entitlement(plan if has_grace else catalog.free, PlanState.PAST_DUE, until, Problem.PAYMENT_FAILED)


def _read_grant(grant: Grant, catalog: Catalog) -> Entitlement:
    return Entitlement(catalog.find(grant.plan) or catalog.free, PlanState.GRANTED, grant.until)


_FORCE = (
    PlanState.FREE,
    PlanState.ENDED,
    PlanState.PENDING,
    PlanState.PAUSED,
    PlanState.PAST_DUE,
    PlanState.CANCELLED,
    PlanState.GRANTED,
    PlanState.TRIALING,
    PlanState.ACTIVE,
    PlanState.UNLIMITED,
)
"""Of two entitlements with the same plan, the one with the later state here counts, whatever their order."""


def _weigh(one: Entitlement, now: datetime) -> tuple[int, int, bool, float]:
    lasts = (one.until - now).total_seconds() if one.until else 0.0
    return (one.plan.rank, _FORCE.index(one.state), one.until is not None, lasts)
