"""What a person may do in a Procore project, from their permission manifest.

Procore does not publish the names of its tools, so each is known by several, and by its address.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.procore.json_values import object_of, text_of

RFIS = frozenset({"rfi", "rfis"})
SUBMITTALS = frozenset({"submittal", "submittals", "submittal_log", "submittal_logs"})
ADMIN = "admin"


def is_admin_of_both(manifest: Any) -> bool:
    """Tell whether a manifest says Admin on the RFIs and on the Submittals tool."""
    listed = object_of(manifest).get("tools")
    tools = [object_of(one) for one in listed] if isinstance(listed, list) else []
    return all(
        any(_names(tool) & names and _is_admin(tool) for tool in tools)
        for names in (RFIS, SUBMITTALS)
    )


class Levels(msgspec.Struct, frozen=True, kw_only=True):
    """A person's level on the two tools, in Procore's words; None: the manifest does not say."""

    rfi: str | None
    submittal: str | None


OFF = "Off"
"""Instead of a level: the tool is switched off in the project."""


def levels_of(manifest: Any) -> Levels:
    """Read a person's levels from their manifest. A tool it does not list is not told of."""
    listed = object_of(manifest).get("tools")
    tools = [object_of(one) for one in listed] if isinstance(listed, list) else []
    return Levels(rfi=_level(tools, RFIS), submittal=_level(tools, SUBMITTALS))


def _level(tools: Sequence[Mapping[str, Any]], names: frozenset[str]) -> str | None:
    tool = next((one for one in tools if _names(one) & names), None)
    if tool is None:
        return None
    if tool.get("available_for_user") is False:
        return OFF
    level = tool.get("user_access_level")
    return text_of(level.get("name") if isinstance(level, dict) else level)


def _names(tool: Mapping[str, Any]) -> set[str]:
    name = (text_of(tool.get("name")) or "").lower().replace(" ", "_")
    friendly = (text_of(tool.get("friendly_name")) or "").lower()
    address = (text_of(tool.get("url")) or "").lower().split("?")[0].rstrip("/")
    return {name, friendly, address.rsplit("/", 1)[-1]}


def _is_admin(tool: Mapping[str, Any]) -> bool:
    level = tool.get("user_access_level")
    name = level.get("name") if isinstance(level, dict) else level
    is_on = tool.get("available_for_user") is not False
    return is_on and (text_of(name) or "").lower() == ADMIN
