"""The dispositions page and the worker decide by one rule, though they share no code."""

from hypothesis import given
from hypothesis import strategies as st

from services.procore.models import ResponseOption
from sync_worker.outbound.codes import CLASS_OF, NAMES_OF, code_map
from token_service.connections.dispositions import MEANINGS, matches
from token_service.public.ports import ResponseChoice

SAID = sorted({name for names in NAMES_OF.values() for name in names})
NAMES = st.one_of(
    st.sampled_from(SAID),
    st.sampled_from(SAID).map(str.title),
    st.lists(st.sampled_from(SAID), min_size=1, max_size=3).map(" / ".join),
    st.sampled_from(["R&R", "Approved_as_Noted", "APPROVED!", "Note B", "", "\uff21pproved"]),
)
CLASSES = st.one_of(
    st.sampled_from(sorted(CLASS_OF.values())),
    st.sampled_from(sorted(CLASS_OF.values())).map(lambda name: name.replace(" ", "_")),
    st.sampled_from(["Pending", "", "Void"]),
)


@given(st.lists(st.tuples(NAMES, CLASSES), max_size=6))
def test_the_page_shows_just_what_the_worker_would_send(
    responses: list[tuple[str, str]],
) -> None:
    options = [
        ResponseOption(id=str(at), name=name, considered=considered)
        for at, (name, considered) in enumerate(responses)
    ]
    mapped = code_map(options)
    for match in matches([ResponseChoice(o.id, o.name, o.considered) for o in options]):
        one = match.responses[0].id if len(match.responses) == 1 else None
        sent = mapped[match.disposition].id if match.disposition in mapped else None
        assert one == sent


def test_the_page_names_every_disposition_that_a_person_may_return() -> None:
    assert set(CLASS_OF) <= set(MEANINGS)
