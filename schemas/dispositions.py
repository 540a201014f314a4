"""What a project's two parties agreed on: which Procore response stands for a disposition."""

from datetime import datetime
from typing import Literal

import msgspec

from schemas.records import Disposition

Party = Literal["general_contractor", "prime_consultant"]
PARTIES: tuple[Party, ...] = ("general_contractor", "prime_consultant")
"""Both have to confirm; in the order in which they are asked."""


class SeenResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A response of the Procore project as it was when people decided about it."""

    id: str
    name: str
    considered: str  # Procore's class


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """One party's word, by one of its people."""

    user_id: str
    name: str
    at: datetime
    despite_looser: bool = False  # they were warned that the response is looser, and said yes


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """That a disposition reads as this very response; never changed but by confirmations.

    Another response, or the same one under another name, is another proposal.
    """

    id: str
    disposition: Disposition
    response: SeenResponse
    proposed_by: str  # a name
    proposed_at: datetime
    general_contractor: Confirmation | None = None
    prime_consultant: Confirmation | None = None

    def confirmation(self, party: Party) -> Confirmation | None:
        """Return what a party said, or None."""
        return self.general_contractor if party == PARTIES[0] else self.prime_consultant


class DispositionMap(msgspec.Struct, frozen=True, kw_only=True):
    """All that stands or is proposed in a connected project, as the workers are told it.

    Responses that map by themselves are not in it: who reads Procore's list sees those.
    """

    project_id: str  # Part3's
    procore_project_id: str
    proposals: tuple[Proposal, ...] = ()
