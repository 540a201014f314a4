"""Why a return's disposition does not cross yet, in words for its author, and who can mend it."""

from collections.abc import Sequence

from schemas.dispositions import PARTIES, Party
from schemas.records import Disposition
from schemas.returns import Member, Return
from services.dispositions import Standing, difference, unconfirmed, words_of
from services.procore.models import ResponseOption, Submittal
from sync_worker.outbound.codes import CodeMap
from sync_worker.outbound.holds import Hold, author_of, manager_words, member_person, person_of

WHERE = "in the project's Settings → Integrations → Dispositions"
THEN = (
    "Once a General Contractor and a Prime Consultant have confirmed it, this return goes by itself"
)


def no_disposition(answer: Return) -> Hold:
    """Procore takes no response without a code."""
    return Hold(
        "code_unmapped",
        "This return names no disposition, and Procore needs one. Withdraw it and return it with a "
        "disposition.",
        author_of(answer),
    )


def code_unmapped(answer: Return, record: Submittal, codes: CodeMap) -> Hold:
    """No response of the project is sure to mean this disposition; its two parties can say so."""
    if answer.disposition is None:
        return no_disposition(answer)
    standing = codes.standing(answer.disposition)
    mender = member_of(asked(standing, codes.options), codes.team)
    name = mender.name if mender else manager_words(record)
    mended_by = member_person(mender) if mender else person_of(record.manager)
    return Hold("code_unmapped", _words(answer.disposition, standing, codes, name), mended_by)


def asked(
    standing: Standing[ResponseOption], options: Sequence[ResponseOption]
) -> tuple[Party, ...]:
    """Return the parties to ask, first the one to ask first."""
    waiting = standing.proposed
    if waiting is None or difference(waiting, options) is not None:
        return PARTIES
    return unconfirmed(waiting)


def member_of(parties: Sequence[Party], team: Sequence[Member]) -> Member | None:
    """Return the first of the team who speaks for the first of these parties that has anybody."""
    return next((one for party in parties for one in team if one.role == party), None)


def _words(
    disposition: Disposition, standing: Standing[ResponseOption], codes: CodeMap, mender: str
) -> str:
    words, waiting, agreed = words_of(disposition), standing.proposed, standing.agreed
    if waiting is not None and difference(waiting, codes.options) is None:
        return (
            f"“{waiting.response.name}” is proposed for “{words}” and waits to be confirmed. "
            f"{mender} can confirm it {WHERE}. {THEN}."
        )
    if agreed is not None:
        return (
            f"The response “{agreed.response.name}”, which both parties confirmed for “{words}”, "
            f"has been {standing.became} in Procore. {mender} can propose the one that is meant "
            f"now {WHERE}. {THEN}."
        )
    propose = f"{mender} can propose one {WHERE}. {THEN}; or withdraw it and choose another"
    if standing.fitting:
        names = ", ".join(f"“{option.name}”" for option in standing.fitting)
        return (
            f"More than one response of this project in Procore means “{words}” ({names}), and "
            f"this return's stamp is none of them word for word. {propose} disposition."
        )
    return (
        f"No response of this project in Procore surely means “{words}” by both its name and its "
        f"class. {propose} disposition."
    )
