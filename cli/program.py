"""The program that the demo needs: an account in USD that earns 10 % of each basket."""

from decimal import Decimal, InvalidOperation
from typing import Any

from cli.client import ProblemError, Service
from cli.shopping import ACCOUNT, CURRENCY

WANTED: dict[str, Any] = {
    "name": "Main points",
    "currency_label": CURRENCY,
    "type": "standard",
    "init_on_opt_in": True,
    "earn": {"level": "transaction", "percent": 10, "rounding": "round"},
}
_STAMPS = {"id", "version", "status", "created_at", "updated_at", "updated_by"}


def ensure(program: Service) -> None:
    """Settings in USD and the account, active; what is so already is left alone.

    Raises `ProblemError`, as for an account that was archived.
    """
    _currency(program)
    path = f"/v1/program/accounts/{ACCOUNT}"
    account = _found(program, path)
    if account is None or not fits(WANTED, account):
        account = program.put(path, WANTED)
    if account["status"] != "active":
        program.post(f"{path}/activate")


def _currency(program: Service) -> None:
    path = "/v1/program/settings"
    settings = _found(program, path) or {}
    if settings.get("currency") != CURRENCY:
        kept = {name: value for name, value in settings.items() if name not in _STAMPS}
        program.put(path, kept | {"currency": CURRENCY})


def _found(program: Service, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = program.get(path)
    except ProblemError as problem:
        if problem.status == 404:
            return None
        raise
    return found


def fits(wanted: object, found: object) -> bool:
    """Whether `found` says all that `wanted` says; `10`, `"10"` and `10.00` are the same rate."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            fits(value, found.get(name)) for name, value in wanted.items()
        )
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return _number(found) == wanted
    return wanted == found


def _number(found: object) -> Decimal | None:
    try:
        return Decimal(str(found))
    except InvalidOperation:
        return None
