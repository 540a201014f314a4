"""The two worlds the story is set in: Procore's, as the contractor keeps it, and Part3's."""

from typing import Any

import httpx2

from connector.demo.people import PASSWORD
from connector.demo.stack import Stack

RFIS, SUBMITTALS = 40, 60
TIMEOUT_S = 120.0
BUILDERS, CIVIL = "Northbridge Builders", "Cascadia Civil Group"
ARCHITECTS, ENGINEERS = "Lindqvist Architects", "Rivera Structural"
PROJECT, PROJECT_ID = "Harbour Street Library", "prj_harbour"

DANA = ("Dana Whitfield", "dana@northbridge-builders.example")
MAYA = ("Maya Lindqvist", "maya@lindqvist-architects.example")
TOMAS = ("Tomás Rivera", "tomas@rivera-structural.example")
RAY = ("Ray Delgado", "ray@clearspan-glass.example")

ADMIN = {"email": DANA[1], "level": "Admin", "levels": {"admin": "Admin"}}
OTHER_PROJECTS = (  # hers too, so that there is something to choose from
    ("Harbour Point Parkade", "24-021"),
    ("Alder Court Housing", "23-006"),
    ("Eastgate Community Pool", "25-002"),
)


def procore_world(rfis: int = RFIS, submittals: int = SUBMITTALS) -> dict[str, Any]:
    """Return what to seed Procore's stand-in with: two companies, four people, their projects."""
    people = [
        (DANA, BUILDERS, "Project Manager"),
        (MAYA, ARCHITECTS, "Architect"),
        (TOMAS, ENGINEERS, "Structural Engineer"),
        (RAY, "Clearspan Glass Inc.", "Foreman"),
    ]
    return {
        "seed": 7,
        "companies": [{"name": BUILDERS}, {"name": CIVIL, "id_base": 562_949_953_421_312}],
        "people": [
            {"name": name, "email": email, "password": PASSWORD, "firm": firm, "job_title": job}
            for (name, email), firm, job in people
        ],
        "projects": [
            {
                "name": PROJECT,
                "number": "24-017",
                "company": BUILDERS,
                "members": [
                    ADMIN,
                    {"email": MAYA[1]},
                    {"email": TOMAS[1]},
                    {"email": RAY[1]},
                ],
                "rfis": rfis,
                "submittals": submittals,
                "architect": MAYA[1],
                "engineer": TOMAS[1],
                "trade": RAY[1],
            },
            *[
                {"name": name, "number": number, "company": BUILDERS, "members": [ADMIN]}
                for name, number in OTHER_PROJECTS
            ],
            {
                "name": "Harbor Street Bridge",
                "number": "25-003",
                "company": CIVIL,
                "members": [ADMIN],
            },
        ],
    }


async def seed(stack: Stack, *, rfis: int = RFIS, submittals: int = SUBMITTALS) -> dict[str, Any]:
    """Fill both stand-ins; return what Procore's made, with ids."""
    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
        world = procore_world(rfis, submittals)
        procore = await client.post(f"{stack.procore}/_sandbox/seed", json={"spec": world})
        procore.raise_for_status()
        part3 = await client.post(f"{stack.part3}/_sandbox/seed", json={})
        part3.raise_for_status()
    made: dict[str, Any] = procore.json()
    return made
