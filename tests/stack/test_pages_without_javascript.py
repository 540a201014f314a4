"""Every page of the connector in a browser that runs no scripts: from Connect to Disconnect."""

from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, expect

from connector.demo.people import PASSWORD
from connector.demo.stack import Stack
from tests.stack.browsing import PATIENCE_MS, Person, at_a_browser

pytestmark = [
    pytest.mark.stack,
    pytest.mark.browser,
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]
NORA = ("Nora Quill", "nora@plainview-contractors.example")
OLA = ("Ola Brandt", "ola@brandt-architecture.example")
PER = ("Per Haug", "per@haug-structural.example")
IDA = ("Ida Moen", "ida@moen-steel.example")
BUILDERS, PROJECT, PROJECT_ID = "Plainview Contractors", "Quay Wall Repair", "prj_quay"
PROCORE_WORLD: dict[str, Any] = {
    "seed": 11,
    "companies": [{"name": BUILDERS}],
    "people": [
        {
            "name": name,
            "email": email,
            "password": PASSWORD,
            "firm": firm,
            "companies": [BUILDERS],
        }
        for (name, email), firm in (
            (NORA, BUILDERS),
            (OLA, "Brandt Architecture"),
            (PER, "Haug Structural"),
            (IDA, "Moen Steel"),
        )
    ],
    "projects": [
        {
            "name": PROJECT,
            "number": "26-001",
            "company": BUILDERS,
            "members": [
                {"email": NORA[1], "level": "Admin"},
                *({"email": email} for _, email in (OLA, PER, IDA)),
            ],
            "architect": OLA[1],
            "engineer": PER[1],
            "trade": IDA[1],
            "rfis": 4,
            "submittals": 4,
        }
    ],
}
PART3_WORLD: dict[str, Any] = {
    "project_id": PROJECT_ID,
    "name": PROJECT,
    "companies": [
        {
            "name": firm,
            "role": role,
            "people": [{"user_id": user_id, "name": name, "email": email}],
        }
        for (name, email), user_id, firm, role in (
            (OLA, "usr_ola", "Brandt Architecture", "prime_consultant"),
            (NORA, "usr_nora", BUILDERS, "general_contractor"),
        )
    ],
}


async def seed_quay(stack: Stack) -> None:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        for side, world in ((stack.procore, {"spec": PROCORE_WORLD}), (stack.part3, PART3_WORLD)):
            (await client.post(f"{side}/_sandbox/seed", json=world)).raise_for_status()


async def test_connecting_to_the_end_and_every_page_without_javascript(
    chromium: Browser, shared_stack: Stack
) -> None:
    await seed_quay(shared_stack)
    async with at_a_browser(chromium, shared_stack, *NORA, java_script_enabled=False) as nora:
        await nora.log_in_to_part3()
        await nora.open_part3(f"/projects/{PROJECT_ID}/settings/integrations")
        await nora.link("Open Procore").click()
        await nora.expect_page("project-integrations", "not_connected")
        await nora.button("Connect").click()
        await nora.authorize()
        await connect(nora)
        await look_at_every_page(nora)
        await disconnect(nora)


async def connect(nora: Person) -> None:
    await nora.expect_page("project-integrations", "connecting")
    await nora.button("Yes").click()
    await nora.choose(BUILDERS)
    await nora.page.get_by_label("Search by name or number").fill("no such project")
    await nora.button("Search").click()
    await expect(nora.page.get_by_role("status")).to_contain_text("No project of")
    await nora.page.get_by_label("Search by name or number").fill("quay")
    await nora.button("Search").click()
    await nora.choose(PROJECT)
    await nora.button("Create connection").click()
    # without scripts the page loads itself again until everything is there
    await nora.expect_page("project-integrations", "connected")
    await expect(nora.page.get_by_text("4 submittals in step")).to_be_visible()


async def look_at_every_page(nora: Person) -> None:
    await nora.link("Activity").click()
    await nora.expect_page("activity")
    await nora.page.get_by_label("Kind").select_option(label="Submittals")
    await nora.button("Filter").click()
    await nora.expect_page("activity")
    await nora.link("Dispositions").click()
    await nora.expect_page("dispositions")
    responses = nora.page.get_by_role("table").get_by_role("row")
    await expect(responses.filter(has_text="Revise and Resubmit")).not_to_have_count(0)
    await nora.page.goto(f"{nora.stack.pages}/account/integrations")
    await nora.expect_page("account-integrations", "authorized")
    await nora.link(PROJECT).click()
    await nora.expect_page("project-integrations", "connected")


async def disconnect(nora: Person) -> None:
    await nora.button("Disconnect").click()
    await nora.link("Keep it").click()
    await nora.expect_page("project-integrations", "connected")
    await nora.button("Disconnect").click()
    await nora.button("Disconnect").click()
    await nora.expect_page("project-integrations", "disconnected")
    told = nora.page.get_by_text("Your authorization with Procore was ended too")
    await expect(told).to_be_visible()  # the choice was ticked for her: nothing else used it
    await nora.page.goto(f"{nora.stack.pages}/account/integrations")
    await nora.expect_page("account-integrations", "not_authorized")
    await expect(nora.button("Authorize")).to_be_visible(timeout=PATIENCE_MS)
