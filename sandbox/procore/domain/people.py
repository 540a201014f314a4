"""Companies, people, projects, and who may do what on which tool."""

from datetime import datetime
from typing import Literal

import msgspec

from sandbox.procore.store import Kept

Level = Literal["None", "Read Only", "Standard", "Admin"]
LEVELS: tuple[Level, ...] = ("None", "Read Only", "Standard", "Admin")

Tool = Literal["rfi", "submittal_log", "directory", "admin"]
TOOLS: tuple[Tool, ...] = ("rfi", "submittal_log", "directory", "admin")
TOOL_TITLES: dict[Tool, str] = {
    "rfi": "RFIs",
    "submittal_log": "Submittals",
    "directory": "Directory",
    "admin": "Admin",
}

StatusClass = Literal["Draft", "Open", "Closed"]


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """A firm in a company's directory: who employs somebody, who is responsible for work."""

    id: int
    name: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """An id with a name: submittal types, locations, cost codes, packages."""

    id: int
    name: str


class SubmittalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A company's word for a submittal status, with its class."""

    id: int
    name: str
    status: StatusClass


class SpecSection(msgspec.Struct, frozen=True, kw_only=True):
    """A section of the specifications, e.g. "08 44 13 Glazed Aluminum Curtain Walls"."""

    id: int
    number: str
    description: str


class ResponseOption(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that a project lets its approvers give; `considered` is the stable class."""

    id: int
    name: str
    considered: str


class Company(Kept, frozen=True, kw_only=True):
    id: int
    name: str
    is_active: bool = True
    free: bool = False
    id_base: int  # ids of this company's things start above it
    statuses: tuple[SubmittalStatus, ...] = ()
    types: tuple[Choice, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    installed_apps: tuple[str, ...] = ()  # client ids
    admin_ids: tuple[int, ...] = ()  # full company admins
    member_ids: tuple[int, ...] = ()


class Person(Kept, frozen=True, kw_only=True):
    """A Procore user; `id` is global over all companies."""

    id: int
    name: str
    login: str  # email address
    password: str  # salted hash
    vendor: Vendor | None
    job_title: str = ""
    is_active: bool = True
    locale: str = "en"
    service_of_app: str | None = None  # the client id that this is the service account of

    @property
    def initials(self) -> str:
        return "".join(part[0] for part in self.name.split()[:2]).upper()

    @property
    def name_with_company(self) -> str:
        return f"{self.name} ({self.vendor.name})" if self.vendor else self.name


class ProjectSettings(msgspec.Struct, frozen=True, kw_only=True):
    reject_workflow: bool = False  # "Enable Reject Workflows"
    approvers_add_reviewers: bool = True
    only_official_replies: bool = False  # hide other replies from Standard and Read Only
    rfi_prefix: str = ""


class Project(Kept, frozen=True, kw_only=True):
    id: int
    company_id: int
    name: str
    number: str
    active: bool = True
    time_zone: str = "America/Chicago"
    address: str = ""
    created_at: datetime
    updated_at: datetime
    disabled_tools: tuple[Tool, ...] = ()
    settings: ProjectSettings = ProjectSettings()
    responses: tuple[ResponseOption, ...] = ()
    spec_sections: tuple[SpecSection, ...] = ()
    locations: tuple[Choice, ...] = ()
    packages: tuple[Choice, ...] = ()

    @property
    def parent(self) -> str:
        return str(self.company_id)

    @property
    def changed_at(self) -> datetime:
        return self.updated_at


class Membership(Kept, frozen=True, kw_only=True):
    """Somebody's place in a project's directory, with a level per tool."""

    project_id: int
    user_id: int
    levels: dict[Tool, Level]
    template: str = ""  # name of the permission template
    act_as_rfi_manager: bool = False
    mark_official: bool = False
    view_private_submittals: bool = False

    @property
    def key(self) -> str:
        return f"{self.project_id}/{self.user_id}"

    @property
    def parent(self) -> str:
        return str(self.project_id)

    def level(self, tool: Tool) -> Level:
        return self.levels.get(tool, "None")


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, and through what: a page (no app) or an app's token."""

    user_id: int
    app: str | None = None  # client id
    call_id: int | None = None  # the row of the ledger
    operation: str | None = None  # the call's Idempotency-Token

    @property
    def via_api(self) -> bool:
        return self.app is not None
