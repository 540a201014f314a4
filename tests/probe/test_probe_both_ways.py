"""Each thing that the probe finds out, on a Procore that behaves one way and then the other.

Each world is one Procore; its rows say what the report then says: of which part, and what.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from connector.probe.unknowns import PARTS
from tests.probe.bench import Bench

DAY_S = 86_400

AS, DIFFERENT, FOUND, OPEN = "as_assumed", "different", "found", "unanswered"


@dataclass(frozen=True, kw_only=True)
class OneProcore:
    switches: dict[str, Any]
    says: dict[str, tuple[str, str]]
    only: tuple[int, ...] = ()
    second: bool = True


WORLDS = {
    "as usual": OneProcore(
        switches={"reply_raises_rfi_update": "always"},
        says={
            "1.reply": (AS, "RFI Replies/create, RFIs/update"),
            "1.rfi_forward": (AS, "RFIs/update"),
            "1.rfi_review": (AS, "RFI Replies/create"),
            "1.submittal_review": (AS, "Submittals/update"),
            "1.response": (AS, "Submittals/update"),
            "1.submittal_forward": (AS, "Submittals/update"),
            "2.body": (AS, "an object of attachments"),
            "2.parallel": (AS, "yes: the second keeps it alone"),
            "2.on_behalf": (AS, "yes"),
            "2.upload_ids": (AS, "yes: the file stands in the row"),
            "3.user_token": (AS, "yes: 201"),
            "4.application": (FOUND, "filled with our client id"),
            "4.operation": (AS, "no: it is None"),
            "5.names": (AS, "all are offered"),
            "5.reasons": (AS, "create, delete, update"),
            "6.missing_header": (AS, "400 Missing Procore-Company-Id"),
            "6.spent": (AS, "400 invalid_grant"),
            "6.client": (AS, "401 invalid_client"),
            "6.old_access": (FOUND, "it lives on"),
            "7.limits": (AS, "1000 calls"),
            "7.key": (AS, "no"),
            "8.duplicate": (AS, "400"),
            "8.limits": (AS, "at least 4"),
            "9.names": (AS, "rfi (…/rfi)"),
            "10.create_multipart": (FOUND, "yes: it has 1"),
            "10.create_upload_ids": (AS, "yes: it has 1"),
            "10.update_upload_ids": (AS, "yes"),
            "10.url_life": (AS, "300 s"),
            "11.exclusive": (FOUND, "several"),
            "11.ball": (FOUND, "it moves: assignees, then rfi manager"),
            "12.pkce": (FOUND, "no: PKCE is ignored"),
            "13.versions": (AS, "listed at v1.0 and v1.1"),
            "13.advance": (FOUND, "no: it is taken without one"),
            "14.retrieve": (AS, "RFIs/update"),
            "14.submittal_delete": (AS, "Submittals/delete"),
            "14.submittal_restore": (AS, "Submittals/update"),
            "14.package": (AS, "Submittals/update"),
        },
    ),
    "the other way": OneProcore(
        switches={
            "reply_raises_rfi_update": "never",
            "rfi_forward_raises_update": False,
            "response_raises_update": False,
            "approver_patch_answer": "array",
            "parallel_step": "moves_with_first",
            "admin_answers_for_others": False,
            "upload_ids_on_responses": "ignored",
            "event_source": "null",
            "event_operation": "idempotency_token",
            "v4_resource_names": "lower",
            "missing_company_header": "404",
            "invalid_grant_status": 401,
            "invalid_client_status": 400,
            "refresh_ends_old_access_token": True,
            "rate_limit_hourly": 900,
            "rate_limit_key": "app",
            "tool_names": "plural",
            "attachments_at_create": "dropped",
            "upload_ids_on_submittals": "ignored",
            "official_replies": "exclusive",
            "ball_after_reply": "waits_for_advance",
            "pkce": "enforced",
            "rfi_versions": "1.0",
            "advance_ball_body": "required",
            "submittal_recycle_bin": "absent",
            "package_move_raises_update": False,
        },
        says={
            "1.reply": (AS, "RFI Replies/create"),
            "1.rfi_forward": (DIFFERENT, "none came"),
            "1.rfi_review": (AS, "RFI Replies/create"),
            "1.submittal_review": (DIFFERENT, "none came"),
            "1.response": (DIFFERENT, "none came"),
            "1.submittal_forward": (DIFFERENT, "none came"),
            "2.body": (AS, "an array of attachments"),
            "2.parallel": (DIFFERENT, "no: it is with you"),
            "2.on_behalf": (DIFFERENT, "no: 403"),
            "2.upload_ids": (DIFFERENT, "no: the row has no file"),
            "4.application": (FOUND, "null"),
            "4.operation": (DIFFERENT, "yes: it is what we sent"),
            "5.names": (DIFFERENT, "it has rfi replies, rfis, submittals"),
            "6.missing_header": (DIFFERENT, "404"),
            "6.spent": (AS, "401 invalid_grant"),
            "6.client": (AS, "400 invalid_client"),
            "6.old_access": (FOUND, "it is dead: 401"),
            "7.limits": (AS, "900 calls"),
            "7.key": (DIFFERENT, "yes: it is counted by"),
            "9.names": (AS, "rfis (…/rfi)"),
            "10.create_multipart": (FOUND, "no: it has none"),
            "10.create_upload_ids": (DIFFERENT, "no: it has none"),
            "10.update_upload_ids": (DIFFERENT, "no: 200"),
            "10.url_life": (OPEN, "no submittal kept a file"),
            "11.exclusive": (FOUND, "one: the later takes the mark"),
            "11.ball": (FOUND, "it stays: assignees"),
            "12.pkce": (FOUND, "yes: 401 invalid_grant"),
            "13.versions": (AS, "listed at v1.0"),
            "13.advance": (FOUND, "yes: without one param is missing"),
            "14.submittal_restore": (AS, "not served: 404"),
            "14.package": (DIFFERENT, "none came"),
        },
    ),
    "new words, few webhooks": OneProcore(
        switches={
            "event_reason": "changed",
            "hooks_per_project": 2,
            "missing_company_header": "tolerated",
            "storage_url_life_s": 30,
            "rate_limit_key": "company",
            "retrieve_raises": "create",
            "rfi_versions": "1.1",
        },
        says={
            "5.reasons": (DIFFERENT, "changed, create, delete"),
            "6.missing_header": (DIFFERENT, "200: it is tolerated"),
            "7.key": (DIFFERENT, "yes: it is counted by"),
            "8.limits": (AS, "no more than 2: 400"),
            "10.url_life": (DIFFERENT, "30 s"),
            "13.versions": (DIFFERENT, "listed at v1.1"),
            "14.retrieve": (AS, "RFIs/create"),
            "14.submittal_restore": (AS, "Submittals/create"),
        },
    ),
    "one webhook": OneProcore(
        switches={"hooks_per_project": 1},
        only=(4, 8),
        says={
            "8.limits": (DIFFERENT, "no more than 1: 400"),
            "4.application": (OPEN, "could not be found out: POST"),
        },
    ),
    "no webhook for users": OneProcore(
        switches={"hook_permission": "nobody"},
        only=(1, 3),
        says={
            "3.user_token": (DIFFERENT, "no: 403"),
            "1.reply": (OPEN, "there is no webhook to see events by"),
        },
    ),
    "one person": OneProcore(
        switches={"reply_raises_rfi_update": "always"},
        only=(1, 2, 7),
        second=False,
        says={
            "1.reply": (AS, "RFI Replies/create, RFIs/update"),
            "2.parallel": (AS, "yes: the second keeps it alone"),
            "1.rfi_review": (OPEN, "--second"),
            "1.submittal_review": (OPEN, "--second"),
            "7.key": (OPEN, "--second"),
        },
    ),
}


@pytest.mark.parametrize("name", WORLDS)
async def test_what_is_found_is_what_procore_does(bench: Bench, name: str) -> None:
    one = WORLDS[name]
    await bench.submittal_in_a_package()
    bench.switch(**one.switches)
    found = await bench.probe(*one.only, second=one.second)
    wrong = {
        key: (found[key]["verdict"], found[key]["found"])
        for key, (verdict, words) in one.says.items()
        if found[key]["verdict"] != verdict or words not in found[key]["found"]
    }
    assert wrong == {}


def test_every_part_that_a_machine_sees_has_a_world_both_ways_or_one() -> None:
    shown = {key for one in WORLDS.values() for key in one.says}
    assert PARTS.keys() - shown == {"2.mail", "6.idle", "8.retention", "8.disabled", "9.granular"}


@pytest.mark.parametrize(
    ("kept_days", "verdict", "words"),
    [
        (30, AS, "the oldest is 20.0 days old"),
        (1, OPEN, "no webhook here that is two days old lists"),
    ],
)
async def test_old_webhooks_tell_for_how_long_deliveries_are_kept(
    bench: Bench, kept_days: int, verdict: str, words: str
) -> None:
    """8: a connector's webhook of 40 days ago, with an event then and another 20 days ago."""
    client = await bench.client()
    site = client.site
    hooks = f"/rest/v2.0/companies/{site.company_id}/projects/{site.project.id}/webhooks/hooks"
    bench.world.clock.advance(-40 * DAY_S)
    body = {
        "payload_version": "v4.0",
        "namespace": "of-old",
        "destination_url": "https://x.invalid",
    }
    hook = (await client.ok("POST", hooks, json=body))["data"]
    trigger = {"resource_name": "RFIs", "event_type": "create"}
    await client.ok("POST", f"{hooks}/{hook['id']}/triggers", json=trigger)
    await client.new_rfi()
    bench.world.clock.advance(20 * DAY_S)
    await client.new_rfi()
    bench.world.clock.advance(20 * DAY_S)
    bench.switch(deliveries_kept_days=kept_days)
    found = (await bench.probe(8))["8.retention"]
    assert (found["verdict"], words in found["found"]) == (verdict, True), found
