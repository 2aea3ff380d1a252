"""The life cycle of accounts (Multi-accounts, ACC-03..ACC-23)."""

import re
from typing import Literal

from services.program.domain.revisions import Change, Decision, Document, Program, Refused, Status
from services.program.domain.settings import effective, written

KIND = "accounts"
_ID = re.compile(r"[a-z0-9_]{1,64}")

Reversible = Literal["activate", "deactivate"]
Step = Literal[Reversible, "archive"]

TRANSITIONS: dict[Step, dict[Status, Status]] = {
    "activate": {"inactive": "active", "active": "active"},
    "deactivate": {"active": "inactive", "inactive": "inactive"},
    "archive": {"inactive": "archived", "archived": "archived"},
}
"""What a verb makes of a status. What is so already stays so: a repeated request does no harm."""


def put_account(id_: str, document: Document, program: Program) -> Decision:
    """Create an inactive account, or replace what an account says; its status stays.

    The first account of a program becomes its default account (ACC-21). Refused: an id that is
    `default` or not 1 to 64 of a-z, 0-9 and _ (ACC-06), an archived account (`entity_status`).
    """
    if not _ID.fullmatch(id_):
        return Refused("body_invalid", "must be 1 to 64 of a-z, 0-9 and _", "/id")
    if id_ == "default":
        return Refused("body_invalid", "must not be `default`: that is a role, not an id", "/id")
    account = program.get(KIND, id_)
    if account is None:
        settings = effective(program)
        chosen = settings["default_account"] or id_
        return [
            Change("create", KIND, id_, "inactive", document),
            *written({**settings, "default_account": chosen}, program),
        ]
    if account.status == "archived":
        return Refused("entity_status", f"{id_} is archived, which cannot be undone.")
    if account.document == document:
        return []
    return [Change("update", KIND, id_, account.status, document)]


def change_status(verb: Step, id_: str, program: Program) -> Decision:
    """`activate`, `deactivate` or `archive` an account (ACC-13..ACC-19).

    Refused: an account that is not there (`not_found`), a step that `TRANSITIONS` lacks
    (`entity_status`), taking the default account away (`default_account`; Part 5).
    """
    account = program.get(KIND, id_)
    if account is None:
        return Refused("not_found", f"There is no account {id_}.")
    status = TRANSITIONS[verb].get(account.status)
    if status is None:
        return Refused("entity_status", f"{id_} is {account.status}: it cannot be {verb}d.")
    if verb != "activate" and id_ == effective(program)["default_account"]:
        return Refused(
            "default_account", f"{id_} is the default account: choose another one first."
        )
    if status == account.status:
        return []
    return [Change(verb, KIND, id_, status, account.document)]


def archive(id_: str, proven: int | None, program: Program) -> Decision:
    """`change_status("archive", …)`, where nobody had anything on the account at version `proven`.

    Refused besides: an account that is now at another version (`unavailable`: ask again).
    """
    decision = change_status("archive", id_, program)
    account = program.get(KIND, id_)
    if isinstance(decision, Refused) or not decision or account is None:
        return decision
    if account.version != proven:
        return Refused("unavailable", f"{id_} was changed at the same time: try again.")
    return decision
