"""The receipt as the journal stores it: one format, and those of earlier versions can be read."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from basewarden.undo.receipt import ColumnValues, Receipt, RowConflict
from basewarden.undo.stored_receipt import StoredColumn, decode_receipt, encode_receipt, make_stored_receipt

UNDO_ID = "01935f4e-7a10-7c3e-8b1d-3f2a9c5d7e11"
FIRST_VERSION: dict[str, Any] = json.loads("""
    {"planned": 3, "reverted": 2, "skipped": 1,
     "conflicts": [{"schema": "public", "table": "t", "primaryKey": {"id": 1}, "columns": ["n", "x"],
                    "reason": "The columns n, x were changed after the session's write."}],
     "irreversible": ["1 call of the function public.visit."], "undoSessionId": null, "left": 2, "position": 17}
""")
DIRECT: dict[str, Any] = json.loads("""
    {"planned": 4, "reverted": 2, "skipped": 1, "alreadyAsBefore": 1,
     "irreversible": ["Numbers that public.t.id took from its sequence are not restored."],
     "notes": [], "undoSessionId": "01935f4e-7a10-7c3e-8b1d-3f2a9c5d7e11", "previewToken": null,
     "conflicts": [{"schema": "public", "table": "t", "primaryKey": {"id": "1.50"}, "columns": [{"name": "n"}],
                    "reason": "The column n was changed after the session's write."}],
     "left": 1, "position": 9}
""")
API_BEFORE_ITS_FIRST_REQUEST: dict[str, Any] = json.loads("""
    {"planned": 5, "reverted": 0, "skipped": 4, "alreadyAsBefore": 1, "irreversible": ["2 rows of public.log."],
     "notes": [], "undoSessionId": null, "previewToken": null, "conflicts": [],
     "left": 5, "position": 12, "lasting": 1}
""")


@pytest.mark.parametrize("stored", [FIRST_VERSION, DIRECT, API_BEFORE_ITS_FIRST_REQUEST])
def test_a_receipt_of_an_earlier_version_is_read_and_stored_again_as_it_was(stored: dict[str, Any]) -> None:
    encoded = json.loads(json.dumps(encode_receipt(decode_receipt(stored))))
    assert {name: encoded[name] for name in stored} == stored


def test_what_later_undos_need_is_read() -> None:
    direct, first = decode_receipt(DIRECT), decode_receipt(FIRST_VERSION)
    assert (direct.remaining, direct.position, direct.undo_session_id) == (1, 9, UUID(UNDO_ID))
    assert direct.conflicts[0].columns == (StoredColumn("n"),)
    assert (first.already_reverted, first.conflicts[0].columns) == (0, ("n", "x"))


@pytest.mark.parametrize(("left", "position", "is_complete"), [(0, 9, True), (1, 9, False), (0, 8, False)])
def test_an_undo_is_complete_where_nothing_is_left_at_the_sessions_position(
    left: int, position: int, *, is_complete: bool
) -> None:
    receipt = decode_receipt({**DIRECT, "left": left, "position": position})
    assert receipt.is_complete_at(9) == is_complete


def test_a_receipt_that_says_nothing_of_its_position_is_not_complete() -> None:
    for stored in (None, {}, {"planned": 1, "reverted": 1}):
        assert not decode_receipt(stored).is_complete_at(0)


def test_an_interrupted_undo_has_reverted_the_rows_that_were_journaled() -> None:
    receipt = encode_receipt(decode_receipt(API_BEFORE_ITS_FIRST_REQUEST).after_interruption(3))
    assert {name: receipt[name] for name in ("reverted", "skipped", "left")} == {"reverted": 3, "skipped": 1, "left": 2}
    assert decode_receipt(API_BEFORE_ITS_FIRST_REQUEST).after_interruption(9).reverted == 4


def test_an_interrupted_undo_has_overwritten_the_chosen_rows_that_were_journaled() -> None:
    row = {"schema": "public", "table": "t", "columns": [], "reason": "", "key": ["1"], "primaryKey": {"id": 1}}
    chosen = [row, {**row, "key": ["2"], "primaryKey": {"id": 2}}]
    receipt = decode_receipt({**API_BEFORE_ITS_FIRST_REQUEST, "overwritten": chosen})
    assert receipt.after_interruption(1, receipt.overwritten[:1]).overwritten == receipt.overwritten[:1]
    assert "overwritten" not in encode_receipt(receipt.after_interruption(0))


def test_the_values_of_rows_are_not_stored_and_no_digit_of_a_key_is_lost() -> None:
    key = {"n": Decimal("1.500"), "doc": {"a": [Decimal("0.1"), 2]}}
    conflict = RowConflict("public", "t", key, ("x",), "It changed.", (ColumnValues("x", "a", "b", "c"),))
    receipt = Receipt(1, 0, 1, (conflict,), ())
    stored = json.loads(json.dumps(encode_receipt(make_stored_receipt(receipt, remaining=1, position=3))))
    assert stored["conflicts"] == [
        {
            "schema": "public",
            "table": "t",
            "primaryKey": {"n": "1.500", "doc": {"a": ["0.1", 2]}},
            "columns": [{"name": "x"}],
            "reason": "It changed.",
        }
    ]
    assert (stored["left"], stored["position"]) == (1, 3)
