"""What must hold before a project is connected, and how each failure reads.

Pure: what Part3 and Procore said comes in, findings in plain words come out. Every step asks
afresh, so nothing decided earlier is trusted later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.returns import Member, Project
from services.errors import NeedsPerson
from token_service.public.ports import ProcoreProject, Tool, ToolAccess
from token_service.public.reasons import words_for
from token_service.public.wording import role as role_words

ADMIN = "admin"
TOOL_NAMES: dict[Tool, str] = {"rfis": "RFIs", "submittals": "Submittals"}
SOUGHT_MAX_LENGTH = 100
CHOICES_SHOWN = 60
ID_MAX_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; `next_step` says what to do when it is not `ok`."""

    ok: bool
    words: str
    next_step: str = ""


def role_finding(project: Project, member: Member) -> Finding:
    """Check the role in Part3."""
    if member.role == "general_contractor":
        return Finding(ok=True, words=f"You are General Contractor on {project.name} in Part3.")
    return Finding(
        ok=False,
        words=f"Your role on {project.name} in Part3 is {role_words(member.role)}, "
        "and only a General Contractor can connect it.",
        next_step="Ask the Prime Consultant to change your role in Part3's Team tab, or ask a "
        "General Contractor on the team to connect the project.",
    )


def archived_finding(project: Project) -> Finding | None:
    """Refuse a project that is archived in Part3."""
    if not project.archived:
        return None
    return Finding(
        ok=False,
        words=f"{project.name} is archived in Part3.",
        next_step="Bring it back from the archive in Part3, then connect it.",
    )


def project_findings(project: Project, member: Member) -> list[Finding]:
    """Check what Part3 says: the role, and that the project is not archived."""
    archived = archived_finding(project)
    return [role_finding(project, member), *([archived] if archived else [])]


def app_finding(company_name: str) -> Finding:
    """Note that the company has the app, as Procore answered a call about one of its projects."""
    return Finding(ok=True, words=f"This app is installed for {company_name} in Procore.")


def tool_findings(access: Iterable[ToolAccess]) -> list[Finding]:
    """Check that the person is Admin on both tools; a tool that is not named counts as none."""
    by_tool = {one.tool: one for one in access}
    return [_tool_finding(name, by_tool.get(tool)) for tool, name in TOOL_NAMES.items()]


def _tool_finding(name: str, access: ToolAccess | None) -> Finding:
    if access is None or not access.enabled:
        return Finding(
            ok=False,
            words=f"The {name} tool is not available to you in this Procore project.",
            next_step=f"Ask a Procore project administrator to switch the {name} tool on for the "
            "project, and to give you Admin on it.",
        )
    if access.level.strip().lower() != ADMIN:
        return Finding(
            ok=False,
            words=f"Your permission on the {name} tool in Procore is {access.level}; "
            "it has to be Admin.",
            next_step=f"Ask a Procore project administrator to give you Admin on the {name} tool "
            "(Project Directory, your name, permission template).",
        )
    return Finding(ok=True, words=f"You are Admin on the {name} tool in Procore.")


def refusal_finding(error: NeedsPerson) -> Finding:
    """Say in plain words what Procore or our own records refused."""
    words, next_step = words_for(error.reason)
    return Finding(ok=False, words=words, next_step=next_step)


def unknown_choice(what: str) -> Finding:
    """Refuse an id that is not among what Procore offers this person."""
    return Finding(
        ok=False,
        words=f"That {what} is not among those that Procore shows you.",
        next_step=f"Choose one of the list below. If the {what} is missing there, ask a Procore "
        "administrator to add you to it.",
    )


NOTHING_CHOSEN = Finding(
    ok=False, words="Nothing is chosen yet.", next_step="Choose one of the list below."
)
NO_COMPANY = Finding(
    ok=False,
    words="Your Procore account belongs to no company.",
    next_step="Ask a Procore company administrator to add you to the company's directory. If you "
    "have two Procore accounts, authorize the other one under Account settings.",
)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What a search found: those shown, and how many there are in all."""

    shown: Sequence[ProcoreProject]
    found: int
    total: int

    @property
    def more(self) -> bool:
        """Tell whether there are more than are shown."""
        return self.found > len(self.shown)


def narrow(projects: Sequence[ProcoreProject], sought: str) -> Narrowed:
    """Find projects by name or number, letter by letter: `%`, `_` and `.*` mean themselves."""
    wanted = " ".join(sought[:SOUGHT_MAX_LENGTH].split()).casefold()
    ordered = sorted(projects, key=lambda project: (project.name.casefold(), project.id))
    fitting = [
        project
        for project in ordered
        if wanted in " ".join(project.name.split()).casefold()
        or wanted in (project.number or "").casefold()
    ]
    return Narrowed(tuple(fitting[:CHOICES_SHOWN]), len(fitting), len(projects))
