"""Addresses in the pages that records name as their `link`."""

from sandbox.procore.domain.rfi_model import Rfi
from sandbox.procore.domain.submittal_model import Submittal
from sandbox.procore.world import World


def of_rfi(world: World, rfi: Rfi) -> str:
    return f"{world.public_url}/projects/{rfi.project_id}/rfis/{rfi.id}"


def of_submittal(world: World, submittal: Submittal) -> str:
    return f"{world.public_url}/projects/{submittal.project_id}/submittals/{submittal.id}"
