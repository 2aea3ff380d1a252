"""Archiving an account: for ever, so only once it is proven that nobody has anything on it."""

from starlette.responses import Response

from services.program.answers import answer_in
from services.program.changes import Changes
from services.program.domain import accounts
from services.program.domain.revisions import Program, Refused
from services.program.preconditions import Expected
from services.program.repository import ProgramRepository
from services.program.totals import Totals
from shared.runtime.http import Credential


class Archiving:
    """The proof is taken between two looks at the account, which must find the same version.

    Why that is enough: at the first look the account is inactive, and that is stored by a majority.
    So the journal stamps every event that it takes from then on with a version under which points
    refuses it (`account_inactive`). What the inbox held already may have been recorded under an
    active account; the query service answers only when all of that is decided and on the cards
    (`services/query/settled.py`). At the second look, in the transaction that archives, the version
    says that nobody activated the account in between. Nothing can come after the proof.
    """

    def __init__(self, repository: ProgramRepository, totals: Totals) -> None:
        self._repository = repository
        self._changes = Changes(repository)
        self._totals = totals

    async def archive(
        self, by: Credential, account: str, expected: Expected, authorization: bytes
    ) -> Response:
        """409 `account_in_use`, 503 `unavailable`, or what the life cycle refuses."""
        place = (accounts.KIND, account)
        program = await self._repository.program(by.tenant)
        proven = None
        if expected.missed(answer_in(program, *place)) is None and _archives(account, program):
            await self._totals.must_be_zero(account, authorization)
            proven = program.entities[place].version
        return await self._changes.apply(
            by, place, expected, lambda now: accounts.archive(account, proven, now)
        )


def _archives(account: str, program: Program) -> bool:
    """Whether there is anything to prove: no refusal, and not archived already."""
    decision = accounts.change_status("archive", account, program)
    return not isinstance(decision, Refused) and bool(decision)
