"""Which plan a person has: the cases by name, and what holds for every one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basewarden.billing.plans import (
    CATALOG,
    GRACE,
    Entitlement,
    Grant,
    PlanState,
    Problem,
    Subscribed,
    SubscriptionState,
    decide,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def make(status: str = "active", **changes: object) -> SubscriptionState:
    """Begun a hundred days ago, paid for ten more."""
    base = SubscriptionState("sub_1", "prod_1", status, started_at=NOW - 100 * DAY, next_billing_at=NOW + 10 * DAY)
    return replace(base, **changes)  # type: ignore[arg-type]  # each test names fields of the class


def look(*subscriptions: SubscriptionState, grants: Sequence[Grant] = (), now: datetime = NOW) -> tuple[str, str]:
    found = decide(subscriptions, grants, now)
    return found.plan.key, found.state.value


def test_without_payment_or_grant_the_plan_is_free() -> None:
    assert decide((), (), NOW) == Entitlement(CATALOG.free, PlanState.FREE)
    assert decide((), (), NOW).has_room(2)
    assert not decide((), (), NOW).has_room(3)
    assert not decide((), (), NOW).has_member_room(1)


def test_active_until_the_provider_says_otherwise() -> None:
    assert decide([make()], (), NOW) == Entitlement(CATALOG.hosted, PlanState.ACTIVE, NOW + 10 * DAY)
    assert look(make(), now=NOW + 1000 * DAY) == ("hosted", "active")


def test_a_trial_is_one_until_its_days_are_over() -> None:
    trial = make(started_at=NOW - 3 * DAY, trial_days=14, next_billing_at=NOW + 11 * DAY)
    assert look(trial) == ("hosted", "trialing")
    assert look(trial, now=NOW + 11 * DAY - SECOND) == ("hosted", "trialing")
    assert look(trial, now=NOW + 11 * DAY) == ("hosted", "active")


def test_set_to_end_it_ends_that_day() -> None:
    ending = make(ends_at_period_end=True)
    assert look(ending) == ("hosted", "cancelled")
    assert look(ending, now=NOW + 10 * DAY - SECOND) == ("hosted", "cancelled")
    assert look(ending, now=NOW + 10 * DAY) == ("free", "ended")
    assert look(make(ends_at_period_end=True, next_billing_at=None)) == ("free", "ended")


@pytest.mark.parametrize("status", ["on_hold", "past_due"])
def test_a_failed_charge_leaves_seven_days(status: str) -> None:
    late = make(status, next_billing_at=NOW - DAY)
    assert decide([late], (), NOW) == Entitlement(
        CATALOG.hosted, PlanState.PAST_DUE, NOW + 6 * DAY, Problem.PAYMENT_FAILED
    )
    assert look(late, now=NOW + 6 * DAY - SECOND) == ("hosted", "past_due")
    over = decide([late], (), NOW + 6 * DAY)
    assert (over.plan.key, over.state, over.problem) == ("free", PlanState.PAST_DUE, Problem.PAYMENT_FAILED)
    longer = make(status, next_billing_at=NOW - DAY, past_due_until=NOW + 20 * DAY)
    assert look(longer, now=NOW + 19 * DAY) == ("hosted", "past_due")
    assert look(make(status, next_billing_at=None)) == ("free", "past_due")


def test_cancelled_is_good_for_what_is_paid() -> None:
    assert look(make("cancelled")) == ("hosted", "cancelled")
    assert look(make("cancelled"), now=NOW + 10 * DAY) == ("free", "ended")
    assert look(make("cancelled", next_billing_at=None, expires_at=NOW + DAY)) == ("hosted", "cancelled")
    assert look(make("cancelled", next_billing_at=None)) == ("free", "ended")


@pytest.mark.parametrize(
    ("status", "state", "problem"),
    [
        ("paused", PlanState.PAUSED, Problem.PAUSED),
        ("pending", PlanState.PENDING, None),
        ("failed", PlanState.ENDED, Problem.SETUP_FAILED),
        ("expired", PlanState.ENDED, None),
        ("a word of next year", PlanState.ENDED, None),
    ],
)
def test_what_gives_nothing(status: str, state: PlanState, problem: Problem | None) -> None:
    assert decide([make(status)], (), NOW) == Entitlement(CATALOG.free, state, None, problem)


def test_the_better_one_counts() -> None:
    grant = Grant("team", NOW + DAY)
    assert look(make(), grants=[grant]) == ("team", "granted")
    assert look(make(), grants=[grant], now=NOW + DAY) == ("hosted", "active")
    assert look(make("expired"), make(subscription_id="sub_2")) == ("hosted", "active")
    assert look(make(), grants=[Grant("hosted", NOW + 500 * DAY)]) == ("hosted", "active")
    assert look(grants=[Grant("a plan that is gone", NOW + DAY)]) == ("free", "granted")


def test_a_problem_is_shown_under_a_grant_too() -> None:
    found = decide([make("on_hold", next_billing_at=NOW - DAY)], [Grant("team", NOW + DAY)], NOW)
    assert (found.plan.key, found.problem) == ("team", Problem.PAYMENT_FAILED)


moments = st.integers(-400, 400).map(lambda days: NOW + days * DAY)
statuses = st.sampled_from([*Subscribed, "something else", ""])
subscriptions = st.builds(
    SubscriptionState,
    subscription_id=st.sampled_from(["a", "b", "c"]),
    product_id=st.just("p"),
    status=statuses,
    started_at=moments,
    trial_days=st.integers(0, 60),
    next_billing_at=st.none() | moments,
    ends_at_period_end=st.booleans(),
    past_due_until=st.none() | moments,
    expires_at=st.none() | moments,
)
grants = st.builds(Grant, plan=st.sampled_from(["hosted", "team", "gone"]), until=moments)


@given(st.lists(subscriptions, max_size=4), st.lists(grants, max_size=3), moments)
def test_what_holds_for_everybody(
    all_subscriptions: list[SubscriptionState], given: list[Grant], now: datetime
) -> None:
    found = decide(all_subscriptions, given, now)
    # A payment always has an effect: an active subscription that does not end is worth a plan.
    if any(one.status == "active" and not one.ends_at_period_end for one in all_subscriptions):
        assert found.plan.rank >= CATALOG.hosted.rank
    # There is no plan without a reason for it.
    if found.plan.rank > 0:
        paid = {"active", "on_hold", "past_due", "cancelled"}
        assert any(one.status in paid for one in all_subscriptions) or any(now < one.until for one in given)
    # A plan that ends is never past its end, and one that was granted lasts as long as its grant.
    if found.state in (PlanState.CANCELLED, PlanState.GRANTED) or (
        found.state == PlanState.PAST_DUE and found.plan.rank
    ):
        assert found.until is not None
        assert now < found.until
    # More of anything is never worth less, and the order of what is there does not matter.
    for fewer in (all_subscriptions[1:], all_subscriptions[:-1]):
        assert decide(fewer, given, now).plan.rank <= found.plan.rank
    again = decide(all_subscriptions[::-1], given[::-1], now)
    assert (again.plan, again.state, again.until) == (found.plan, found.state, found.until)


@given(subscriptions, moments)
def test_one_subscription_lasts_no_longer_than_its_state_says(one: SubscriptionState, now: datetime) -> None:
    """Once over it stays over, but for a state that only the provider ends."""
    endless = one.status == "active" and not one.ends_at_period_end
    ranks = [decide([one], (), now + days * DAY).plan.rank for days in range(0, 900, 30)]
    assert ranks == sorted(ranks, reverse=True)
    assert endless == (ranks[-1] > 0)
    assert GRACE == 7 * DAY
