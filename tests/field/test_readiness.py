"""Field notes 4.9: what decides whether a return works is told when the item arrives.

One person's place in Procore, or one state of the code map, a line.
"""

import pytest

from schemas.records import Kind, Person
from schemas.returns import Member
from services.procore.permissions import Levels, levels_of
from sync_worker.outbound.checks import Access, Checked, Unmapped, news_of, unmapped_of
from sync_worker.outbound.readiness import Teammate, readiness_of
from sync_worker.outbound.turns import turns_of
from tests.outbound.samples import AMY, AMY_REF, NOON, OPTIONS, rfi, submittal

GALE = Member(
    user_id="u-gale",
    name="Gale Cooper",
    email="gale@gc.example",
    company="Harbour Build",
    role="general_contractor",
)
PLACES: dict[str, tuple[Access | None, Kind, str]] = {
    "Standard may answer": (Access(levels=Levels(rfi="Standard", submittal="Standard")), "rfi", ""),
    "Admin may answer": (Access(levels=Levels(rfi="Admin", submittal="Admin")), "submittal", ""),
    "not known yet, so nothing is claimed": (None, "rfi", ""),
    "a manifest without the tool claims nothing": (
        Access(levels=Levels(rfi=None, submittal=None)),
        "rfi",
        "",
    ),
    "Read Only on RFIs": (
        Access(levels=Levels(rfi="Read Only", submittal="Standard")),
        "rfi",
        "Amy Chen has Read Only on the RFIs tool in Procore, and answering needs Standard.",
    ),
    "Read Only on RFIs is no hindrance at a submittal": (
        Access(levels=Levels(rfi="Read Only", submittal="Standard")),
        "submittal",
        "",
    ),
    "None on Submittals": (
        Access(levels=Levels(rfi="Standard", submittal="None")),
        "submittal",
        "Amy Chen has None on the Submittals tool",
    ),
    "tool switched off": (
        Access(levels=Levels(rfi="Off", submittal="Standard")),
        "rfi",
        "the RFIs tool is switched off",
    ),
    "not in the project's directory": (Access(levels=None), "rfi", "does not let Amy Chen into"),
}


@pytest.mark.parametrize(("access", "kind", "says"), PLACES.values(), ids=PLACES)
def test_a_place_in_procore(access: Access | None, kind: Kind, says: str) -> None:
    record = rfi() if kind == "rfi" else submittal()
    checked = Checked(access={AMY.user_id: access} if access else {})
    mate = Teammate(member=AMY, procore_id=AMY_REF.id)
    told = readiness_of(
        turns_of(record), [mate], removed=False, as_of=NOON, kind=kind, checked=checked
    )
    assert told.returnable is (not says)
    assert (told.reason, says in (told.message or "")) == ("not_permitted" if says else None, True)
    if says:
        assert told.mended_by is not None
        assert told.mended_by.name == "Gale Cooper"


def test_an_open_code_is_told_though_the_record_can_be_returned() -> None:
    gale = Person(name="Gale Cooper")
    checked = Checked(unmapped=(Unmapped(disposition="not_reviewed", mended_by=gale),))
    mate = Teammate(member=AMY, procore_id=AMY_REF.id)
    told = readiness_of(
        turns_of(submittal()), [mate], removed=False, as_of=NOON, kind="submittal", checked=checked
    )
    assert (told.returnable, told.reason, told.mended_by) == (True, "code_unmapped", gale)
    assert "can be returned, but not as “Not Reviewed”" in (told.message or "")
    of_rfi = readiness_of(turns_of(rfi()), [mate], removed=False, as_of=NOON, checked=checked)
    assert of_rfi.reason is None


def test_a_response_that_fell_away_is_a_task_of_a_named_person_and_only_its_row() -> None:
    names = {option.id: option.name for option in OPTIONS}
    left = tuple(one for one in OPTIONS if one.name != "Rejected")
    was = Checked(unmapped=unmapped_of(OPTIONS, None, [GALE]), names=names)
    now = Checked(
        unmapped=unmapped_of(left, None, [GALE]), names={one.id: one.name for one in left}
    )
    ((words, person),) = news_of(was, now)
    assert "Returns with “Rejected” wait: the project's responses changed" in words
    assert "there was “Rejected”" in words
    assert person is not None
    assert person.name == "Gale Cooper"
    assert news_of(now, now) == ()
    # what never mapped is no news when a project is checked for the first time
    assert news_of(Checked(), was) == ()


def test_a_manifest_is_read_by_name_and_address_and_says_what_is_off() -> None:
    tools = [
        {"name": "rfi", "user_access_level": {"id": 2, "name": "Standard"}},
        {
            "name": "x",
            "url": "/9/project/submittal_logs",
            "available_for_user": False,
            "user_access_level": {"name": "Admin"},
        },
    ]
    assert levels_of({"tools": tools}) == Levels(rfi="Standard", submittal="Off")
    assert levels_of({"tools": []}) == Levels(rfi=None, submittal=None)
    assert levels_of(None) == Levels(rfi=None, submittal=None)
