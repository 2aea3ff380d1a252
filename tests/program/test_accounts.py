"""Accounts and settings: which changes follow from what (Multi-accounts, ACC-03..ACC-23)."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from services.program.domain.accounts import Step, change_status, put_account
from services.program.domain.revisions import Decision, Document, Program, Refused, Status, evolve
from services.program.domain.settings import effective, put_settings
from shared.contracts.program import Account, Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
EMPTY = Program(0, {})


def account(**fields: Any) -> Document:
    model = Account.model_validate({"name": "Points", "currency_label": "pts", **fields})
    return model.model_dump(mode="json", exclude_none=True)


def settings(**fields: Any) -> Document:
    return Settings.model_validate(fields).model_dump(mode="json", exclude_none=True)


def after(program: Program, decision: Decision) -> Program:
    assert not isinstance(decision, Refused), decision
    return evolve(program, decision, NOW, "key:1")


def having(*ids: str, default: str = "") -> Program:
    program = EMPTY
    for id_ in ids:
        program = after(program, put_account(id_, account(), program))
    return after(program, put_settings(settings(default_account=default), program))


def in_status(status: Status) -> Program:
    """`other` has `status`; `main` is the default account."""
    program = having("main", "other")
    for step in {"inactive": (), "active": ("activate",), "archived": ("archive",)}[status]:
        program = after(program, change_status(step, "other", program))  # type: ignore[arg-type]
    return program


CODES: dict[tuple[Status, Step], str] = {
    ("inactive", "activate"): "active",
    ("inactive", "deactivate"): "inactive",
    ("inactive", "archive"): "archived",
    ("active", "activate"): "active",
    ("active", "deactivate"): "inactive",
    ("active", "archive"): "entity_status",
    ("archived", "activate"): "entity_status",
    ("archived", "deactivate"): "entity_status",
    ("archived", "archive"): "archived",
}


@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("step", get_args(Step))
def test_the_life_cycle(status: Status, step: Step) -> None:
    program = in_status(status)
    decision = change_status(step, "other", program)
    if isinstance(decision, Refused):
        assert decision.code == CODES[status, step]
        return
    end = after(program, decision).get("accounts", "other")
    assert end is not None
    assert end.status == CODES[status, step]
    assert len(decision) == (end.status != status)


def test_an_account_starts_inactive_and_the_first_one_is_the_default() -> None:
    first = after(EMPTY, put_account("main", account(), EMPTY))
    second = after(first, put_account("other", account(), first))
    assert [entity.status for entity in second.of("accounts")] == ["inactive", "inactive"]
    assert effective(second)["default_account"] == "main"
    assert (first.version, second.version) == (2, 3)


def test_an_update_keeps_the_status_and_the_same_document_changes_nothing() -> None:
    program = in_status("active")
    changed = after(program, put_account("other", account(family=True), program))
    again = put_account("other", account(family=True), changed)
    entity = changed.entities["accounts", "other"]
    assert (entity.status, entity.document["family"], again) == ("active", True, [])


@pytest.mark.parametrize(
    ("id_", "allowed"),
    [
        pytest.param("main_2", True, id="letters, digits, underscore"),
        pytest.param("a" * 64, True, id="the longest"),
        pytest.param("a" * 65, False, id="longer"),
        pytest.param("", False, id="none"),
        pytest.param("default", False, id="the role's name"),
        pytest.param("Main", False, id="upper case"),
        pytest.param("a-b", False, id="a hyphen"),
        pytest.param("a/b", False, id="a slash"),
        pytest.param("a\n", False, id="a control character"),
        pytest.param("é", False, id="a letter with an accent"),
        pytest.param("٣", False, id="a digit of another script"),
    ],
)
def test_which_ids_an_account_may_have(id_: str, allowed: bool) -> None:
    decision = put_account(id_, account(), EMPTY)
    assert isinstance(decision, Refused) != allowed
    assert allowed or (isinstance(decision, Refused) and decision.pointer == "/id")


def test_an_archived_account_cannot_be_edited() -> None:
    decision = put_account("other", account(family=True), in_status("archived"))
    assert isinstance(decision, Refused)
    assert decision.code == "entity_status"


@pytest.mark.parametrize("step", ["deactivate", "archive"])
def test_the_default_account_stays_until_another_one_is_chosen(step: Step) -> None:
    program = having("main", "other")
    refused = change_status(step, "main", program)
    assert isinstance(refused, Refused)
    assert refused.code == "default_account"
    chosen = having("main", "other", default="other")
    assert not isinstance(change_status(step, "main", chosen), Refused)


def test_a_default_account_must_exist_and_not_be_archived() -> None:
    program = in_status("archived")
    for named, allowed in (("main", True), ("other", False), ("nobody", False)):
        decision = put_settings(settings(default_account=named), program)
        assert isinstance(decision, Refused) != allowed
        assert allowed or (isinstance(decision, Refused) and decision.pointer == "/default_account")


def test_settings_that_name_no_default_account_mean_the_first_usable_one() -> None:
    chosen = having("main", "other", default="other")
    reset = after(chosen, put_settings(settings(time_zone="Asia/Tokyo"), chosen))
    assert effective(reset)["default_account"] == "main"
    archived = after(chosen, change_status("archive", "main", chosen))
    again = after(archived, put_settings(settings(currency="HUF"), archived))
    assert effective(again)["default_account"] == "other"
