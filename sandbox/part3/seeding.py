"""The people and the project that the demo starts with: a design team and no contractor yet."""

from typing import Any

import msgspec

from sandbox.part3.house import House
from sandbox.part3.passwords import hash_password
from sandbox.part3.wire import Role


class SeedPerson(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    user_id: str
    name: str
    email: str


class SeedCompany(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    role: Role
    people: list[SeedPerson]


DESIGN_TEAM: tuple[SeedCompany, ...] = (
    SeedCompany(
        name="Lindqvist Architects",
        role="prime_consultant",
        people=[
            SeedPerson(
                user_id="usr_maya", name="Maya Lindqvist", email="maya@lindqvist-architects.example"
            )
        ],
    ),
    SeedCompany(
        name="Rivera Structural",
        role="consultant",
        people=[
            SeedPerson(
                user_id="usr_tomas", name="Tomás Rivera", email="tomas@rivera-structural.example"
            )
        ],
    ),
    SeedCompany(
        name="Harbour Street Library Trust",
        role="owner",
        people=[
            SeedPerson(user_id="usr_ines", name="Ines Okafor", email="ines@harbour-library.example")
        ],
    ),
)


class Seed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Left out, everything is as below; `password` is everybody's."""

    project_id: str = "prj_harbour"
    name: str = "Harbour Street Library"
    number: str | None = "2418"
    password: str | None = None
    companies: list[SeedCompany] = msgspec.field(default_factory=lambda: list(DESIGN_TEAM))


def seed(house: House, plan: Seed) -> dict[str, Any]:
    """Make what is missing and leave alone what is there; returns ids and logins."""
    password = plan.password or house.settings.password
    kept = hash_password(password)
    store = house.store
    with store.transaction():
        store.run(
            "INSERT INTO projects (id, name, number, created_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            plan.project_id,
            plan.name,
            plan.number,
            store.now(),
        )
        for company in plan.companies:
            _seed_company(house, plan.project_id, company, kept)
    return {
        "project_id": plan.project_id,
        "project_url": f"{house.settings.public_url}/projects/{plan.project_id}",
        "password": password,
        "users": [msgspec.to_builtins(m) for m in house.people.project(plan.project_id).team],
    }


def _seed_company(house: House, project_id: str, company: SeedCompany, kept: str) -> None:
    store = house.store
    names = {row["name"]: str(row["id"]) for row in house.people.companies(project_id)}
    company_id = names.get(company.name) or house.people.add_company(
        project_id, company.name, company.role
    )
    for person in company.people:
        now = store.now()
        store.run(
            "INSERT INTO users (id, email, name, password, created_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            person.user_id,
            person.email.casefold(),
            person.name,
            kept,
            now,
        )
        store.run(
            "INSERT INTO members (project_id, user_id, company_id, joined_at, created_at)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            project_id,
            house.people.user_id_of(person.email, person.name),  # known by mail under another id
            company_id,
            now,
            now,
        )
