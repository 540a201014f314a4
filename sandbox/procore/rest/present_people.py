"""People, firms, companies and projects as JSON."""

from datetime import date, datetime
from typing import Any

from sandbox.procore.domain import directory
from sandbox.procore.domain.attachments import Attachment
from sandbox.procore.domain.people import Company, Membership, Person, Project, Vendor
from sandbox.procore.rest.file_links import address
from sandbox.procore.world import World


def at(moment: datetime | None) -> str | None:
    """UTC to the second, as v1 prints times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def on(day: date | None) -> str | None:
    return day.isoformat() if day else None


def user_ref(world: World, user_id: int | None, *, with_company: bool = False) -> Any:
    """`{id, login, name, locale}`; the name reads "Name (Company)" in some places."""
    person = world.store.get(Person, user_id) if user_id else None
    if person is None:
        return None
    name = person.name
    if with_company and world.switches.names_with_company:
        name = person.name_with_company
    return {"id": person.id, "login": person.login, "name": name, "locale": person.locale}


def user_refs(world: World, ids: tuple[int, ...], *, with_company: bool = False) -> list[Any]:
    found = (user_ref(world, u, with_company=with_company) for u in ids)
    return [ref for ref in found if ref is not None]


def name_of(world: World, user_id: int) -> str:
    person = world.store.get(Person, user_id)
    return person.name if person else ""


def vendor_ref(vendor: Vendor | None) -> Any:
    return {"id": vendor.id, "name": vendor.name} if vendor else None


def company(found: Company) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "is_active": found.is_active,
        "logo_url": None,
        "my_company": True,
        "pcn_business_experience": None,
    }


def project(world: World, found: Project, view: str = "normal") -> dict[str, Any]:
    if view == "ids":
        return {"id": found.id}
    body: dict[str, Any] = {
        "id": found.id,
        "name": found.name,
        "display_name": f"{found.number} - {found.name}" if found.number else found.name,
        "project_number": found.number or None,
        "active": found.active,
        "time_zone": found.time_zone,
        "address": found.address or None,
        "origin_id": None,
        "origin_code": None,
        "origin_data": None,
        "created_at": at(found.created_at),
        "updated_at": at(found.updated_at),
        "company": {
            "id": found.company_id,
            "name": directory.company(world, found.company_id).name,
        },
    }
    return body


def project_user(person: Person, place: Membership, *, compact: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"id": person.id, "name": person.name}
    if compact:
        return body
    first, _, last = person.name.partition(" ")
    return {
        **body,
        "first_name": first,
        "last_name": last,
        "email_address": person.login,
        "job_title": person.job_title or None,
        "initials": person.initials,
        "is_active": person.is_active,
        "is_employee": person.vendor is None,
        "vendor": vendor_ref(person.vendor),
        "permission_template": {"id": 1, "name": place.template} if place.template else None,
        "origin_id": None,
    }


def attachment(world: World, owner: Any, found: Attachment) -> dict[str, Any]:
    """An attachment of a record (`owner` has company and project)."""
    return {
        "id": found.id,
        "url": address(world, owner.company_id, owner.project_id, found),
        "name": found.name,
        "filename": found.name,
    }
