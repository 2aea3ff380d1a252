"""The settings: one document a program, whose defaults hold before anybody wrote it."""

from services.program.domain.revisions import Change, Decision, Document, Program, Refused, Verb
from shared.contracts.program import Settings

KIND = ID = "settings"


def effective(program: Program) -> Document:
    """What is in force: the document last written, else the defaults."""
    written = program.get(KIND, ID)
    return written.document if written else Settings().model_dump(mode="json", exclude_none=True)


def put_settings(document: Document, program: Program) -> Decision:
    """Replace the settings (Multi-accounts, ACC-20..ACC-22).

    `default_account` left out or empty is the account created first; one that is named must exist
    and not be archived (422).
    """
    named = document["default_account"]
    account = program.get("accounts", named)
    if named and (account is None or account.status == "archived"):
        return Refused("body_invalid", "is no account that can be used", "/default_account")
    return written({**document, "default_account": named or _first_account(program)}, program)


def written(document: Document, program: Program) -> list[Change]:
    """The change that makes `document` the settings; none where it is so already."""
    if document == effective(program):
        return []
    verb: Verb = "update" if program.get(KIND, ID) else "create"
    return [Change(verb, KIND, ID, "active", document)]


def _first_account(program: Program) -> str:
    """Archived accounts do not count: nothing may be credited to them any more."""
    usable = (account.id for account in program.of("accounts") if account.status != "archived")
    return next(usable, "")
