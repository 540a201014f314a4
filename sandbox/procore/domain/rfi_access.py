"""Who may see an RFI, and who may do what to it."""

from sandbox.procore.domain import directory
from sandbox.procore.domain.people import Actor, Project
from sandbox.procore.domain.rfi_model import Rfi
from sandbox.procore.errors import Forbidden, NotFound
from sandbox.procore.world import World


def is_admin(world: World, actor: Actor, project: Project) -> bool:
    return directory.at_least(world, actor, project, "rfi", "Admin")


def sees(world: World, actor: Actor, project: Project, rfi: Rfi) -> bool:
    """Private ones and drafts are for those who take part, and for admins."""
    if is_admin(world, actor, project):
        return True
    if not directory.at_least(world, actor, project, "rfi", "Read Only"):
        return False
    if rfi.is_draft:
        return actor.user_id in (rfi.created_by_id, rfi.manager_id)
    return not rfi.private or actor.user_id in rfi.party_ids


def visible(
    world: World, actor: Actor, project_id: int, rfi_id: int, *, deleted: bool = False
) -> tuple[Project, Rfi]:
    """The RFI in its present state; raises NotFound when it is absent, deleted or invisible."""
    project = directory.project(world, actor, project_id)
    directory.tool_on(project, "rfi")
    rfi = world.store.get(Rfi, rfi_id)
    if rfi is None or rfi.project_id != project_id or (rfi.deleted_at is not None) != deleted:
        raise NotFound
    if not sees(world, actor, project, rfi):
        raise NotFound
    return project, rfi


def manages(world: World, actor: Actor, project: Project, rfi: Rfi) -> bool:
    """Admin, or "Act as RFI Manager" on an RFI that is their own or managed by them."""
    if is_admin(world, actor, project):
        return True
    place = directory.membership(world, project.id, actor.user_id)
    own = actor.user_id in (rfi.created_by_id, rfi.manager_id)
    return place is not None and place.act_as_rfi_manager and own


def must_manage(world: World, actor: Actor, project: Project, rfi: Rfi) -> None:
    """Raises Forbidden."""
    if not manages(world, actor, project, rfi):
        raise Forbidden


def may_edit(world: World, actor: Actor, project: Project, rfi: Rfi) -> bool:
    """Managers, and the creator while it is a draft."""
    if manages(world, actor, project, rfi):
        return True
    standard = directory.at_least(world, actor, project, "rfi", "Standard")
    return standard and rfi.status == "draft" and actor.user_id == rfi.created_by_id


def may_reply(world: World, actor: Actor, project: Project, rfi: Rfi) -> bool:
    """Admin; or Standard and taking part (assignee, distribution, forwarded to, manager)."""
    if is_admin(world, actor, project):
        return True
    standard = directory.at_least(world, actor, project, "rfi", "Standard")
    return standard and actor.user_id in rfi.party_ids


def may_mark_official(world: World, actor: Actor, project: Project, rfi: Rfi) -> bool:
    """Managers, and parties with the "Mark Official Responses" right."""
    if manages(world, actor, project, rfi):
        return True
    place = directory.membership(world, project.id, actor.user_id)
    return place is not None and place.mark_official and actor.user_id in rfi.party_ids
