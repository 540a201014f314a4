"""A whole probe: what it says, what it writes only when agreed to, what it leaves behind."""

import asyncio
import stat

import pytest

from connector.probe.command import is_production
from connector.probe.unknowns import PARTS, QUESTIONS, UNKNOWNS
from connector.probe.wire import Faulty
from sandbox.procore.domain.accounts import Grant
from sandbox.procore.domain.hook_model import Hook
from sandbox.procore.domain.rfi_model import Rfi
from sandbox.procore.domain.submittal_model import Submittal
from tests.probe.bench import Bench, Sitting
from tests.sandbox.procore.site import CLIENT_SECRET, MANAGER

UNKNOWABLE = {"6.idle", "8.retention", "8.disabled", "9.granular", "2.mail"}
"""Only a person, or days of waiting, could answer these."""


def living(bench: Bench) -> list[Rfi | Submittal]:
    store = bench.world.store
    everything: list[Rfi | Submittal] = [*store.every(Rfi), *store.every(Submittal)]
    return [one for one in everything if one.deleted_at is None]


async def test_two_people_answer_all_that_a_machine_can_see(bench: Bench) -> None:
    await bench.submittal_in_a_package()
    found = await bench.probe(second=True)
    assert {key for key, part in found.items() if part["verdict"] == "unanswered"} == UNKNOWABLE
    assert [key for key, part in found.items() if part["verdict"] == "different"] == []
    assert found.keys() == PARTS.keys()
    for part in found.values():
        assert part["assumed"]
        assert part["found"]
        assert part["rests_on"]
    page = (bench.folder / "report.md").read_text()
    assert all(f"## {number}. {question}" in page for number, question in QUESTIONS.items())


async def test_nothing_is_left_but_what_only_a_person_can_delete(bench: Bench) -> None:
    kept = await bench.submittal_in_a_package()
    await bench.probe(second=True)
    assert [one.id for one in living(bench)] == [kept]
    assert bench.world.store.every(Hook) == []
    assert [one for one in bench.world.store.every(Grant) if not one.dead and one.refresh_hash] == [
        one for one in bench.world.store.every(Grant) if one.hash in bench.own_grants
    ]
    report = bench.report()
    assert {one["what"] for one in report["left_behind"]} == {"rfi", "submittal", "upload"}
    assert all("person" in one["left"] or "purged" in one["left"] for one in report["left_behind"])


async def test_no_token_and_no_secret_stands_in_a_file_or_on_the_screen(bench: Bench) -> None:
    person = bench.person()
    await bench.probe(second=True, person=person)
    texts = [path.read_text() for path in bench.folder.iterdir()]
    assert {path.name for path in bench.folder.iterdir()} == {
        "answers.json",
        "report.json",
        "report.md",
    }
    sent = [CLIENT_SECRET, *bench.bearers]
    assert len(sent) > 2
    assert not [one for one in sent for text in (*texts, *person.said) if one in text]
    assert stat.S_IMODE((bench.folder / "answers.json").stat().st_mode) == 0o600


async def test_a_write_that_is_not_agreed_to_is_not_made(bench: Bench) -> None:
    person = bench.person(declines=("",))
    found = await bench.probe(person=person)
    writes = [one for one in bench.calls() if one["method"] not in ("GET", "HEAD")]
    assert {one["path"] for one in writes} <= {
        "/oauth/token",
        "/oauth/authorize",
        "/oauth/revoke",
        "/login",
    }
    assert found["3.user_token"]["verdict"] == "unanswered"
    assert found["3.user_token"]["found"].startswith("not agreed to: make a webhook")
    assert "there is no webhook" in found["14.submittal_delete"]["found"] or (
        "not agreed to" in found["14.submittal_delete"]["found"]
    )
    assert found["9.names"]["verdict"] == "as_assumed"
    assert bench.report()["writes"] == []


async def test_each_write_to_procore_was_agreed_to(bench: Bench) -> None:
    person = bench.person()
    await bench.probe(second=True, person=person)
    assert bench.report()["writes"] == person.writes
    agreed = [one for one in person.writes if "[" in one]
    made = [
        one
        for one in bench.calls()
        if one["method"] in ("POST", "PATCH") and one["path"].startswith("/rest/")
    ]
    removals = [one for one in made if one["path"].endswith("/recycle")]
    asked = [one for one in agreed if "/recycle, as" in one]
    assert len(made) - len(removals) == len(agreed) - len(asked)


async def test_what_one_question_cannot_answer_stops_no_other(bench: Bench) -> None:
    bench.fault(kind="status", method="POST", path="/submittals$", status=500)
    found = await bench.probe()
    assert "500" in found["2.body"]["found"]
    assert found["2.body"]["verdict"] == "unanswered"
    assert found["1.reply"]["verdict"] == "as_assumed"
    assert found["12.pkce"]["verdict"] == "found"


async def test_a_run_is_resumed_with_what_was_not_answered(bench: Bench) -> None:
    bench.fault(kind="status", method="POST", path="/submittals$", status=500)
    first = await bench.probe()
    bench.fault()
    bench.forget_calls()
    second = await bench.probe()
    assert second["2.body"]["verdict"] == "as_assumed"
    assert second["1.reply"] == first["1.reply"]
    assert not [one for one in bench.calls() if one["path"].endswith("/replies")]


async def test_what_was_made_before_its_answer_was_lost_is_found_and_removed(bench: Bench) -> None:
    client = await bench.client()
    lost = await client.new_rfi(subject="Connector probe 0a1b2c: lost")
    others = await client.new_rfi(subject="Anchor conflict at grid D")
    await bench.probe(9)
    assert [one.id for one in living(bench)] == [others["id"]]
    assert str(lost["id"]) in {one["id"] for one in bench.report()["left_behind"]}


async def test_what_cannot_be_removed_is_named(bench: Bench) -> None:
    bench.fault(kind="status", method="DELETE", path="/hooks/", status=403)
    person = bench.person()
    assert not await bench.ends_well(8, person=person)
    (said,) = {
        line for line in person.said if line.startswith("Left behind: hook") and "-more-0" in line
    }
    assert "403" in said
    bench.fault()
    assert await bench.ends_well(8)
    assert bench.world.store.every(Hook) == []


async def test_a_run_that_is_interrupted_cleans_up_and_reports(bench: Bench) -> None:
    class Impatient(Sitting):
        async def agree(self, write: str) -> bool:
            if write.startswith("reply to RFI"):
                raise asyncio.CancelledError
            return await super().agree(write)

    with pytest.raises(asyncio.CancelledError):
        await bench.probe(1, 3, person=Impatient(bench.starlette))
    assert living(bench) == []
    assert bench.world.store.every(Hook) == []
    assert not [one for one in bench.world.store.every(Grant) if not one.dead]
    assert bench.report()["unknowns"][2]["parts"][0]["verdict"] == "as_assumed"


async def test_a_second_person_who_is_the_first_is_refused(bench: Bench) -> None:
    person = bench.person()
    person.second_login = MANAGER
    with pytest.raises(Faulty, match="is the first"):
        await bench.probe(second=True, person=person)


async def test_people_are_asked_what_no_machine_sees(bench: Bench) -> None:
    told = {"mail": "no", "disabled": "after 3 days", "idled": "30 days", "granular": "never"}
    found = await bench.probe(2, 6, 8, 9, person=bench.person(told=told))
    assert found["2.mail"]["found"] == "a person says: nobody was mailed"
    assert found["2.mail"]["verdict"] == "as_assumed"
    assert found["8.disabled"]["found"] == "a person says: after 3 days"
    assert found["6.idle"]["found"] == "a person says: 30 days"
    assert found["9.granular"]["found"] == "a person says: never"


@pytest.mark.parametrize(
    ("url", "production"),
    [
        ("https://api.procore.com", True),
        ("https://us02.procore.com", True),
        ("https://sandbox.procore.com", False),
        ("https://api-monthly.procore.com", False),
        ("http://127.0.0.1:8080", False),
    ],
)
def test_production_is_never_probed(url: str, production: bool) -> None:
    assert is_production(url) is production


def test_all_fourteen_have_parts_and_each_part_stands_in_one() -> None:
    assert [one.number for one in UNKNOWNS] == list(range(1, 15))
    assert all(one.parts for one in UNKNOWNS)
    assert sum(len(one.parts) for one in UNKNOWNS) == len(PARTS)
