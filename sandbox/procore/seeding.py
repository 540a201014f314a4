"""Builds worlds: companies, people, projects, RFIs and submittals with files.

All records come about by the domain's own operations, acted out by the people over the months
before now, so that every state is one that Procore could have. The same seed and the same present
give the same world.
"""

import random
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from sandbox.procore.clock import Clock
from sandbox.procore.domain import accounts, directory
from sandbox.procore.domain.people import (
    Choice,
    Company,
    Level,
    Membership,
    Person,
    Project,
    ProjectSettings,
    ResponseOption,
    SpecSection,
    SubmittalStatus,
    Tool,
    Vendor,
)
from sandbox.procore.seeding_content import SPEC_SECTIONS
from sandbox.procore.seeding_rfis import seed_rfis
from sandbox.procore.seeding_submittals import seed_submittals
from sandbox.procore.seeding_team import Team
from sandbox.procore.world import World

HISTORY = timedelta(days=120)

STATUSES = (
    ("Draft", "Draft"),
    ("Open", "Open"),
    ("Closed", "Closed"),
    ("Submitted for Approval", "Open"),
    ("Approved / No Exceptions Taken", "Closed"),
    ("Revise and Resubmit", "Closed"),
    ("Void", "Closed"),
)
TYPES = ("Product Data", "Shop Drawing", "Sample", "Calculation", "Test Report", "Certificate")
RESPONSES = (
    ("Approved", "approved"),
    ("Approved as Noted", "approved as noted"),
    ("For Record Only", "for record only"),
    ("Forwarded for Review", "forwarded for review"),
    ("Pending", "pending"),
    ("Rejected", "rejected"),
    ("Revise and Resubmit", "revise and resubmit"),
    ("Submitted", "submitted"),
    ("Void", "void"),
)
LOCATIONS = ("Level 1", "Level 2", "Level 3", "Roof", "Stair 1", "Stair 2")


class PersonSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    email: str
    password: str = "procore"
    firm: str | None = None  # who employs them, among the company's vendors
    job_title: str = ""
    companies: tuple[str, ...] = ()  # Procore companies they belong to; empty: all
    company_admin: bool = False


class MemberSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    email: str
    level: Level = "Standard"  # on all tools but Admin, unless `levels` says otherwise
    levels: dict[Tool, Level] = msgspec.field(default_factory=dict)
    act_as_rfi_manager: bool = False


class ProjectSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    number: str = ""
    company: str
    members: tuple[MemberSpec, ...] = ()
    rfis: int = 0
    submittals: int = 0
    architect: str | None = None  # email; default: the first Standard member
    engineer: str | None = None
    trade: str | None = None
    settings: ProjectSettings = ProjectSettings()
    disabled_tools: tuple[Tool, ...] = ()
    custom_responses: tuple[tuple[str, str], ...] = ()  # name, considered


class CompanySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    id_base: int | None = None  # ids start above it; over 2**31 for a newer region
    install_apps: bool = True


class WorldSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seed: int = 1
    companies: tuple[CompanySpec, ...] = ()
    people: tuple[PersonSpec, ...] = ()
    projects: tuple[ProjectSpec, ...] = ()


def demo_spec(*, rfis: int = 40, submittals: int = 60) -> WorldSpec:
    """Two companies, four people, a project in full swing and a second one just begun."""
    builder, civil = "Harbor & Main Builders", "Cascadia Civil Group"
    maya, elena = "maya.okafor@harbormain.example", "elena.marsh@marshlindqvist.example"
    jonas, ray = "jonas.weber@marshlindqvist.example", "ray.delgado@clearspanglass.example"
    architects = "Marsh Lindqvist Architects"
    return WorldSpec(
        companies=(
            CompanySpec(name=builder),
            CompanySpec(name=civil, id_base=562_949_953_421_312),
        ),
        people=(
            PersonSpec(name="Maya Okafor", email=maya, job_title="Project Manager", firm=builder),
            PersonSpec(name="Elena Marsh", email=elena, job_title="Architect", firm=architects),
            PersonSpec(name="Jonas Weber", email=jonas, job_title="Architect", firm=architects),
            PersonSpec(
                name="Ray Delgado", email=ray, job_title="Foreman", firm="Clearspan Glass Inc."
            ),
        ),
        projects=(
            ProjectSpec(
                name="Riverside Office Tower",
                number="24-017",
                company=builder,
                members=(
                    MemberSpec(email=maya, level="Admin", levels={"admin": "Admin"}),
                    MemberSpec(email=elena),
                    MemberSpec(email=jonas),
                    MemberSpec(email=ray),
                ),
                rfis=rfis,
                submittals=submittals,
                architect=elena,
                engineer=jonas,
                trade=ray,
            ),
            ProjectSpec(
                name="Harbor Street Bridge",
                number="25-003",
                company=civil,
                members=(MemberSpec(email=maya, level="Admin", levels={"admin": "Admin"}),),
            ),
        ),
    )


def build(world: World, spec: WorldSpec) -> dict[str, Any]:
    """Add the companies, people and projects of the spec; returns their ids and logins.

    Raises:
        KeyError: a project names a company, or a member a person, that is not there.
    """
    chance, real = random.Random(spec.seed), world.clock
    first_effect = world.store.rows("SELECT coalesce(max(id), 0) AS id FROM effects")[0]["id"]
    with world.transaction():
        companies = {c.name: _company(world, c, spec) for c in spec.companies}
        people = {p.email: _person(world, p, companies) for p in spec.people}
        made = []
        for project_spec in spec.projects:
            world.clock = Clock(frozen_at=real.now() - HISTORY)
            try:
                made.append(_project(world, project_spec, people, chance, real.now()))
            finally:
                world.clock = real
        # What the people did before the story began is not part of the ledger.
        world.store.run("DELETE FROM effects WHERE id > ?", (first_effect,))
    return {
        "companies": [
            {
                "id": c.id,
                "name": c.name,
                "installed_apps": directory.company(world, c.id).installed_apps,
            }
            for c in companies.values()
        ],
        "people": [
            {
                "id": people[p.email].id,
                "name": p.name,
                "email": p.email,
                "password": p.password,
            }
            for p in spec.people
        ],
        "projects": made,
    }


def _company(world: World, given: CompanySpec, spec: WorldSpec) -> Company:
    known = next((c for c in world.store.every(Company) if c.name == given.name), None)
    if known is not None:
        return known
    number = world.store.next_id("companies")
    base = given.id_base or number * 1_000_000
    company = Company(id=world.next_id(base), name=given.name, id_base=base)
    firms = dict.fromkeys(p.firm for p in spec.people if p.firm)
    apps = [a.client_id for a in world.store.every(accounts.App)] if given.install_apps else []
    company = replace(
        company,
        statuses=tuple(
            SubmittalStatus(id=world.next_id(base), name=name, status=kind)  # type: ignore[arg-type] # the literals stand above
            for name, kind in STATUSES
        ),
        types=tuple(Choice(id=world.next_id(base), name=name) for name in TYPES),
        vendors=tuple(Vendor(id=world.next_id(base), name=name) for name in firms),
        installed_apps=tuple(apps),
    )
    world.store.put(company)
    return company


def _person(world: World, given: PersonSpec, companies: dict[str, Company]) -> Person:
    person = directory.person_by_login(world, given.email)
    mine = [companies[name] for name in given.companies] or list(companies.values())
    if person is None:
        vendors = [v for c in mine for v in c.vendors if v.name == given.firm]
        person = Person(
            id=world.next_id(),
            name=given.name,
            login=given.email,
            password=directory.hash_password(given.password),
            vendor=vendors[0] if vendors else None,
            job_title=given.job_title,
        )
        world.store.put(person)
    for company in mine:
        now = directory.company(world, company.id)
        members = (*now.member_ids, person.id)
        admins = (*now.admin_ids, person.id) if given.company_admin else now.admin_ids
        world.store.put(replace(now, member_ids=tuple(dict.fromkeys(members)), admin_ids=admins))
    return person


def _project(
    world: World,
    given: ProjectSpec,
    people: dict[str, Person],
    chance: random.Random,
    present: datetime,
) -> dict[str, Any]:
    company = next(c for c in world.store.every(Company) if c.name == given.company)
    project = new_project(world, company, given)
    for member in given.members:
        person = people.get(member.email) or directory.person_by_login(world, member.email)
        if person is None:
            raise KeyError(member.email)
        _membership(world, project, person, member)
    made: dict[str, Any] = {
        "id": project.id,
        "name": project.name,
        "company_id": company.id,
        "rfi_ids": [],
        "submittal_ids": [],
    }
    if given.rfis or given.submittals:
        team = _team(world, project, given, people)
        began = world.now()
        made["rfi_ids"] = seed_rfis(world, team, given.rfis, chance, present)
        world.clock.set(began)
        made["submittal_ids"] = seed_submittals(world, team, given.submittals, chance, present)
    return made


def new_project(world: World, company: Company, given: ProjectSpec) -> Project:
    """A project with its vocabulary: spec sections, locations, responses."""
    base, now = company.id_base, world.now()
    project = Project(
        id=world.next_id(base),
        company_id=company.id,
        name=given.name,
        number=given.number,
        created_at=now,
        updated_at=now,
        settings=given.settings,
        disabled_tools=given.disabled_tools,
        responses=tuple(
            ResponseOption(id=world.next_id(base), name=name, considered=considered)
            for name, considered in (*RESPONSES, *given.custom_responses)
        ),
        spec_sections=tuple(
            SpecSection(id=world.next_id(base), number=number, description=words)
            for number, words in SPEC_SECTIONS
        ),
        locations=tuple(Choice(id=world.next_id(base), name=name) for name in LOCATIONS),
        packages=(Choice(id=world.next_id(base), name="Building Envelope Package"),),
    )
    world.store.put(project)
    return project


def _membership(world: World, project: Project, person: Person, given: MemberSpec) -> None:
    admin: Level = "Admin" if given.level == "Admin" else "None"
    levels: dict[Tool, Level] = {
        "rfi": given.level,
        "submittal_log": given.level,
        "directory": given.level,
        "admin": admin,
    }
    world.store.put(
        Membership(
            project_id=project.id,
            user_id=person.id,
            levels={**levels, **given.levels},
            template=f"{given.level} template",
            act_as_rfi_manager=given.act_as_rfi_manager,
        )
    )


def _team(world: World, project: Project, given: ProjectSpec, people: dict[str, Person]) -> Team:
    """Who plays which part; by the spec, else by level and order."""

    def person(email: str) -> Person:
        return people.get(email) or _known(world, email)

    levels = [(person(m.email), m.levels.get("rfi", m.level)) for m in given.members]
    admins = [p for p, level in levels if level == "Admin"]
    others = [p for p, level in levels if level == "Standard"] or admins
    return Team(
        project=project,
        manager=admins[0],
        architect=person(given.architect) if given.architect else others[0],
        engineer=person(given.engineer) if given.engineer else others[1 % len(others)],
        trade=person(given.trade) if given.trade else others[-1],
    )


def _known(world: World, email: str) -> Person:
    found = directory.person_by_login(world, email)
    if found is None:
        raise KeyError(email)
    return found
