"""Who authorized, and in which company and project the probe may work: people choose."""

from connector.probe.answers import Answers
from connector.probe.person import Person
from connector.probe.wire import Faulty, Session

ME = "/rest/v1.0/me"


async def greet(session: Session) -> None:
    """Learn who authorized. Raises Faulty."""
    me = (await session.call("GET", ME, company=False)).object()
    session.user_id = str(me["id"])


async def choose_place(
    answers: Answers, session: Session, person: Person, *, company_id: str, project_id: str
) -> None:
    """Set the company and project, as named, as before, or as chosen now.

    Raises:
        Faulty: what was named is not among those that the person belongs to.
    """
    kept = answers.kept
    companies = (await session.call("GET", "/rest/v1.0/companies", company=False)).items()
    kept.company_id, kept.company = await _chosen(
        person, "Which company?", _pairs(companies), company_id or kept.company_id
    )
    session.company_id = kept.company_id
    path = "/rest/v1.1/projects"
    projects = await session.pages(path, {"company_id": kept.company_id})
    kept.project_id, kept.project = await _chosen(
        person,
        "Which project? Take one that nobody works in",
        _pairs(projects),
        project_id or kept.project_id,
    )
    answers.save()


async def choose_other(
    answers: Answers, first: Session, second: Session | None, person: Person, other_id: str
) -> tuple[str, str]:
    """Return id and name of the member who is named beside the first person, else empty texts."""
    path = f"/rest/v1.0/projects/{answers.kept.project_id}/rfis/potential_assignees"
    listed = _pairs((await first.get(path, page="1", per_page="100")).items())
    others = [(one, name) for one, name in listed if one != first.user_id]
    wanted = second.user_id if second is not None else other_id
    if wanted:
        return await _chosen(person, "Which other member?", others, wanted)
    if not others:
        return "", ""
    return await _chosen(person, "Which member may be named, and mailed, as assignee?", others, "")


async def _chosen(
    person: Person, question: str, options: list[tuple[str, str]], wanted: str
) -> tuple[str, str]:
    names = dict(options)
    if wanted and wanted not in names:
        listed = ", ".join(f"{name} ({one_id})" for one_id, name in options) or "none"
        raise Faulty(f"{wanted} is none of those that can be chosen: {listed}")
    one_id = wanted or await person.choose(question, options)
    return one_id, names[one_id]


def _pairs(listed: list[dict[str, object]]) -> list[tuple[str, str]]:
    return [(str(one["id"]), str(one.get("name") or "without a name")) for one in listed]
