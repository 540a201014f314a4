"""What a person may do in a Procore project, from their permission manifest.

Procore does not publish the names of its tools, so each is known by several, and by its address.
"""

from collections.abc import Mapping
from typing import Any

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
