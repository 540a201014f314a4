"""A webhook subscription and what it is subscribed to."""

from datetime import datetime
from typing import Literal

from sandbox.procore.store import Kept

PAYLOAD_VERSIONS = ("v2.0", "v3.0", "v4.0")


class Hook(Kept, frozen=True, kw_only=True):
    id: int
    company_id: int
    project_id: int | None
    namespace: str
    payload_version: str
    destination_url: str
    authorization: str | None
    status: Literal["active", "disabled"] = "active"
    created_by_id: int
    app: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def parent(self) -> str:
        return str(self.project_id) if self.project_id else f"company/{self.company_id}"


class Trigger(Kept, frozen=True, kw_only=True):
    id: int
    hook_id: int
    resource_name: str
    event_type: str  # lower case; answered in upper case

    @property
    def parent(self) -> str:
        return str(self.hook_id)
