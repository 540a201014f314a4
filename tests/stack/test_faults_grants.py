"""A grant that is revoked in Procore: the return waits for its author, and goes under no other."""

import pytest

from connector.demo.worlds import PROJECT_ID
from tests.stack.fault_stacks import Site

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_a_return_whose_author_lost_the_grant_waits_for_them(site: Site) -> None:
    rfi_id = await site.ask_rfi("Expansion joint at line 7")
    await site.until_titled("rfi", rfi_id, "Expansion joint at line 7")
    maya_id = site.procore_id_of(site.maya)
    revoked = f"{site.stack.procore}/_sandbox/revocations"
    await site.http.post(revoked, json={"user_id": maya_id})

    return_id = await site.return_rfi(rfi_id, "Carry the joint through the topping.")
    await site.until_return(return_id, "held")
    (held,) = [
        report
        for report in await site.part3_ledger(entry="effect", what="delivery.reported")
        if report["return_id"] == return_id and report["state"] == "held"
    ]
    assert held["reason"] == "needs_reauthorization"
    assert await site.replies(rfi_id) == []

    await site.maya.open_part3("/account/integrations")
    await site.maya.browser.follow("Open Procore")
    assert site.maya.browser.state() == "needs_reauthorization"
    await site.maya.press_authorize()
    assert site.maya.browser.state() == "authorized"
    await site.until_return(return_id, "delivered")
    replies = await site.replies(rfi_id)
    assert [reply["created_by_id"] for reply in replies] == [maya_id]
    posts = await site.calls("POST", f"/rfis/{rfi_id}/replies")
    assert {post["user_id"] for post in posts if post["status"] is not None} <= {None, maya_id}
    assert [post["status"] for post in posts].count(201) == 1


async def test_reads_go_on_when_only_an_author_lost_the_grant(site: Site) -> None:
    revoked = f"{site.stack.procore}/_sandbox/revocations"
    await site.http.post(revoked, json={"user_id": site.procore_id_of(site.maya)})
    rfi_id = await site.ask_rfi("Seen though Maya is out")
    await site.until_titled("rfi", rfi_id, "Seen though Maya is out")
    rows = await site.rows(
        "SELECT attention_reason FROM mirror.projects WHERE project_id = $1", PROJECT_ID
    )
    assert [row["attention_reason"] for row in rows] == [None]
    return_id = await site.return_rfi(rfi_id, "As drawn.")
    await site.until_return(return_id, "held")
    await site.maya.open_part3("/account/integrations")
    await site.maya.browser.follow("Open Procore")
    await site.maya.press_authorize()
    await site.until_return(return_id, "delivered")
