"""Problems: every code that a client can meet, with status, meaning and whether to try again."""

from typing import NamedTuple


class Kind(NamedTuple):
    """What a code means. `retryable`: the same event under a new id may succeed later."""

    status: int
    title: str
    retryable: bool = False


KINDS: dict[str, Kind] = {
    # The request itself.
    "not_json": Kind(400, "The body is not JSON"),
    "parameter_unknown": Kind(400, "This path has no such parameter"),
    "parameter_invalid": Kind(400, "A parameter has a wrong value"),
    "cursor_mismatch": Kind(400, "The cursor belongs to another list"),
    "unauthorized": Kind(401, "No valid credential"),
    "forbidden": Kind(403, "This credential may not do that"),
    "not_found": Kind(404, "There is nothing here"),
    "method_not_allowed": Kind(405, "This path does not take that method"),
    "version_conflict": Kind(412, "Somebody changed it in between"),
    "body_too_large": Kind(413, "The body is too large"),
    "body_invalid": Kind(422, "The body does not fit"),
    "rate_limited": Kind(429, "Too many requests", retryable=True),
    "internal": Kind(500, "Something broke on our side", retryable=True),
    "unavailable": Kind(503, "Not available at the moment", retryable=True),
    # The action.
    "action_unknown": Kind(422, "There is no such action"),
    "action_unavailable": Kind(422, "This action is not built yet"),
    "id_reserved": Kind(422, "Ids that begin with ~ are reserved"),
    "event_conflict": Kind(409, "Another event has this id"),
    "interrupted": Kind(409, "A workflow interrupted the event"),
    # The customer.
    "customer_unknown": Kind(404, "There is no such customer", retryable=True),
    "customer_inactive": Kind(409, "The customer has not opted in", retryable=True),
    "customer_suspended": Kind(409, "The customer is suspended", retryable=True),
    "customer_opted_out": Kind(409, "The customer has opted out"),
    "customer_banned": Kind(409, "The customer is banned"),
    "already_opted_in": Kind(409, "The customer has opted in already"),
    "status_transition": Kind(409, "The customer's status does not allow that"),
    # The account.
    "account_unknown": Kind(404, "There is no such account", retryable=True),
    "account_inactive": Kind(409, "The account is not active", retryable=True),
    "account_in_use": Kind(409, "Customers have something on the account", retryable=True),
    "account_mismatch": Kind(409, "The account is not the one this belongs to"),
    "default_account_missing": Kind(409, "No default account is set", retryable=True),
    # Points and transactions.
    "insufficient_points": Kind(409, "Not enough points", retryable=True),
    "balance_limit": Kind(409, "An amount or a balance would pass 2^53"),
    "burn_rate": Kind(422, "The points do not fit the burn rate"),
    "transaction_unknown": Kind(404, "There is no such transaction", retryable=True),
    "transaction_exists": Kind(409, "Another checkout has this transaction id"),
    "transaction_status": Kind(409, "The transaction's status does not allow that"),
    "refund_exceeds": Kind(409, "More than is left to refund"),
    "reservation_unknown": Kind(404, "There is no such reservation", retryable=True),
    "reservation_exists": Kind(409, "Another reservation has this id"),
    "spend_unknown": Kind(404, "There is no such spend", retryable=True),
    "lot_unknown": Kind(404, "There is no such lot", retryable=True),
    "undo_exceeds": Kind(409, "More than is left to undo"),
    "entity_unknown": Kind(404, "There is no such entity", retryable=True),
    "entity_limit": Kind(409, "The entity's limit is reached"),
    # Tiers, coupons, lists, program.
    "tier_unknown": Kind(404, "There is no such tier"),
    "tier_protected": Kind(409, "The tier is protected"),
    "coupon_unknown": Kind(404, "There is no such coupon", retryable=True),
    "coupon_status": Kind(409, "The coupon's status does not allow that"),
    "coupon_amount": Kind(409, "The amount does not fit the coupon"),
    "pool_empty": Kind(409, "The pool has no coupon left", retryable=True),
    "list_inactive": Kind(409, "The list is not active"),
    "entity_status": Kind(409, "The entity's status does not allow that"),
    "default_account": Kind(409, "The default account must stay active"),
}


def problem(code: str, detail: str = "", **members: object) -> dict[str, object]:
    """RFC 9457 members for `code` (API.md, conventions); `members` are added as they are."""
    kind = KINDS[code]
    return {
        "type": f"urn:laurel:problem:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail or f"{kind.title}.",
        "code": code,
        "retryable": kind.retryable,
        **members,
    }
