"""A project's map from dispositions to Procore responses, as one return needs it.

A code is a statement with legal weight: what both parties agreed on, else what is beyond doubt,
else a person decides. The rule itself is `services.dispositions`, which the pages show by too.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from schemas.dispositions import DispositionMap, Proposal
from schemas.records import Disposition
from schemas.returns import Member, Return
from services.dispositions import Standing, standing_of
from services.errors import TryLater
from services.procore.models import Place, ResponseOption
from sync_worker.outbound.outside import Agreements, Teams


@dataclass(frozen=True, slots=True)
class CodeMap:
    """The responses of a project, and what its parties said about them.

    Attributes:
        options: the project's responses, as Procore lists them now.
        proposals: what both parties confirmed, and what waits for a confirmation.
        stamp: the firm's own words on the return, which tell apart responses that all fit.
        team: the Part3 project's, to name who can mend what does not map.
    """

    options: tuple[ResponseOption, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    stamp: str | None = None
    team: tuple[Member, ...] = ()

    def standing(self, disposition: Disposition) -> Standing[ResponseOption]:
        """Say how a disposition reads in the project."""
        return standing_of(disposition, self.options, self.proposals, self.stamp)

    def get(self, disposition: Disposition | None) -> ResponseOption | None:
        """Return the response that stands for a disposition, or None: people have to say."""
        return self.standing(disposition).response if disposition else None


NO_CODES = CodeMap()
"""RFIs are answered in words alone."""


@dataclass(frozen=True, slots=True)
class _Known:
    agreed: DispositionMap | None
    until: float  # monotonic


@dataclass
class CodeBook:
    """Reads what the parties agreed on, and keeps it for a while.

    What would hold a return is read afresh, so that a confirmation is seen at the next look and
    not a while later.

    Attributes:
        agreements: the token service.
        teams: Part3.
        keep_s: how long an agreement is taken as known.
    """

    agreements: Agreements
    teams: Teams
    keep_s: float
    monotonic: Callable[[], float] = time.monotonic
    _known: dict[str, _Known] = field(default_factory=dict)

    async def codes_for(
        self, answer: Return, place: Place, options: tuple[ResponseOption, ...]
    ) -> CodeMap:
        """Return the map for one return; with the team, where its disposition does not map.

        Raises:
            TryLater: the token service, or Part3, cannot say now.
        """
        known = self._known.get(answer.project_id)
        if known is not None and known.until > self.monotonic():
            codes = _codes(answer, place, options, known.agreed)
            if codes.get(answer.disposition) is not None:
                return codes
        codes = _codes(answer, place, options, await self._read(answer.project_id))
        if codes.get(answer.disposition) is not None:
            return codes
        project = await self.teams.project(answer.project_id)
        return replace(codes, team=project.team if project else ())

    async def _read(self, project_id: str) -> DispositionMap | None:
        agreed = await self.agreements.dispositions(project_id)
        self._known[project_id] = _Known(agreed, self.monotonic() + self.keep_s)
        return agreed


def _codes(
    answer: Return,
    place: Place,
    options: tuple[ResponseOption, ...],
    agreed: DispositionMap | None,
) -> CodeMap:
    if agreed is not None and agreed.procore_project_id != place.project_id:
        # ids of responses mean nothing in another Procore project
        message = f"Project {answer.project_id} has just been connected anew; it is looked at again"
        raise TryLater(message, reason="not_connected")
    return CodeMap(options, agreed.proposals if agreed else (), answer.stamp)
