"""Reading the directory: companies, projects, people and their levels; and its few writes."""

import hashlib
import secrets

import msgspec

from sandbox.procore.domain.people import (
    LEVELS,
    TOOL_TITLES,
    Actor,
    Choice,
    Company,
    Level,
    Membership,
    Person,
    Project,
    SpecSection,
    SubmittalStatus,
    Tool,
    Vendor,
)
from sandbox.procore.errors import Forbidden, NotFound
from sandbox.procore.world import World


def hash_password(password: str, salt: str | None = None) -> str:
    """Salt and hash; give the salt to compare."""
    salt = salt or secrets.token_hex(8)
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), n=2**11, r=8, p=1)
    return f"{salt}${digest.hex()}"


def sign_in(world: World, login: str, password: str) -> Person | None:
    """The person with that email and password, or None."""
    person = person_by_login(world, login)
    if person is None or not person.is_active:
        return None
    salt = person.password.partition("$")[0]
    return (
        person if secrets.compare_digest(hash_password(password, salt), person.password) else None
    )


def person_by_login(world: World, login: str) -> Person | None:
    wanted = login.strip().lower()
    return next((p for p in world.store.every(Person) if p.login.lower() == wanted), None)


def person(world: World, user_id: int) -> Person:
    """Raises NotFound."""
    found = world.store.get(Person, user_id)
    if found is None:
        raise NotFound
    return found


def company(world: World, company_id: int) -> Company:
    """Raises NotFound."""
    found = world.store.get(Company, company_id)
    if found is None:
        raise NotFound
    return found


def companies_of(world: World, actor: Actor) -> list[Company]:
    """The companies that the person belongs to, whether or not the app is installed there."""
    return [c for c in world.store.every(Company) if actor.user_id in c.member_ids]


def is_company_admin(world: World, company_id: int, user_id: int) -> bool:
    found = world.store.get(Company, company_id)
    return found is not None and user_id in found.admin_ids


def projects_of(world: World, actor: Actor, company_id: int) -> list[Project]:
    """The projects somebody was added to; all of them for a full company admin."""
    everything = world.store.all(Project, company_id)
    if is_company_admin(world, company_id, actor.user_id):
        return everything
    return [p for p in everything if membership(world, p.id, actor.user_id) is not None]


def project(world: World, actor: Actor, project_id: int) -> Project:
    """The project, if this person can see it; raises NotFound."""
    found = world.store.get(Project, project_id)
    if found is None:
        raise NotFound
    if membership(world, project_id, actor.user_id) is None and not is_company_admin(
        world, found.company_id, actor.user_id
    ):
        raise NotFound
    return found


def membership(world: World, project_id: int, user_id: int) -> Membership | None:
    return world.store.get(Membership, f"{project_id}/{user_id}")


def members(world: World, project_id: int) -> list[tuple[Person, Membership]]:
    """Everybody in the project's directory, by name."""
    found = [
        (someone, place)
        for place in world.store.all(Membership, project_id)
        if (someone := world.store.get(Person, place.user_id)) is not None
    ]
    return sorted(found, key=lambda pair: pair[0].name)


def level_of(world: World, actor: Actor, project_: Project, tool: Tool) -> Level:
    """The level on a tool, whether or not the tool is switched on. Company admins: Admin."""
    if is_company_admin(world, project_.company_id, actor.user_id):
        return "Admin"
    place = membership(world, project_.id, actor.user_id)
    return place.level(tool) if place else "None"


def at_least(world: World, actor: Actor, project_: Project, tool: Tool, wanted: Level) -> bool:
    """Whether the person's level on the tool is that or higher."""
    have = level_of(world, actor, project_, tool)
    return LEVELS.index(have) >= LEVELS.index(wanted)


def tool_on(project_: Project, tool: Tool) -> None:
    """Raises Forbidden when the tool is switched off in the project."""
    if tool in project_.disabled_tools:
        raise Forbidden(f"The {TOOL_TITLES[tool]} tool is not enabled for this project.")


def require(world: World, actor: Actor, project_: Project, tool: Tool, wanted: Level) -> None:
    """Raises Forbidden below that level, or when the tool is switched off."""
    tool_on(project_, tool)
    if not at_least(world, actor, project_, tool, wanted):
        raise Forbidden


def must_be_members(world: World, project_id: int, user_ids: tuple[int, ...]) -> list[int]:
    """Those of the ids who are not in the project's directory."""
    return [u for u in user_ids if membership(world, project_id, u) is None]


# --------------------------------------------------------------------- small look-ups


def vendor(world: World, company_id: int, vendor_id: int | None) -> Vendor | None:
    found = world.store.get(Company, company_id)
    return next((v for v in found.vendors if v.id == vendor_id), None) if found else None


def status(world: World, company_id: int, status_id: int) -> SubmittalStatus | None:
    found = world.store.get(Company, company_id)
    return next((s for s in found.statuses if s.id == status_id), None) if found else None


def status_of_class(world: World, company_id: int, wanted: str) -> SubmittalStatus:
    """The company's first status of a class; the default ones come first."""
    return next(s for s in company(world, company_id).statuses if s.status == wanted)


def spec_section(project_: Project, section_id: int | None) -> SpecSection | None:
    return next((s for s in project_.spec_sections if s.id == section_id), None)


def choice(choices: tuple[Choice, ...], choice_id: int | None) -> Choice | None:
    return next((c for c in choices if c.id == choice_id), None)


# ------------------------------------------------------------------------------ writes


def set_level(
    world: World, *, project_id: int, user_id: int, levels: dict[Tool, Level]
) -> Membership:
    """Add somebody to a project's directory, or change their levels."""
    place = membership(world, project_id, user_id) or Membership(
        project_id=project_id, user_id=user_id, levels={}
    )
    place = msgspec.structs.replace(place, levels={**place.levels, **levels})
    world.store.put(place)
    return place


def remove_member(world: World, *, project_id: int, user_id: int) -> None:
    world.store.remove(Membership, f"{project_id}/{user_id}")


def set_installed(world: World, *, company_id: int, app: str, installed: bool) -> Company:
    """Connect an app to a company, or disconnect it; tokens stay valid."""
    found = company(world, company_id)
    apps = tuple(a for a in found.installed_apps if a != app) + ((app,) if installed else ())
    changed = msgspec.structs.replace(found, installed_apps=apps)
    world.store.put(changed)
    return changed


def change_project(world: World, project_: Project) -> Project:
    """Write a changed project (settings, tools, response names)."""
    changed = msgspec.structs.replace(project_, updated_at=world.now())
    world.store.put(changed)
    return changed
