"""Who may see a submittal, and who may do what to it."""

from sandbox.procore.domain import directory
from sandbox.procore.domain.people import Actor, Project
from sandbox.procore.domain.submittal_model import Submittal
from sandbox.procore.errors import Forbidden, NotFound
from sandbox.procore.world import World


def is_admin(world: World, actor: Actor, project: Project) -> bool:
    return directory.at_least(world, actor, project, "submittal_log", "Admin")


def must_be_admin(world: World, actor: Actor, project: Project) -> None:
    """Raises Forbidden."""
    directory.require(world, actor, project, "submittal_log", "Admin")


def sees(world: World, actor: Actor, project: Project, submittal: Submittal) -> bool:
    """Private ones are for those who take part, for admins, and by granular right."""
    if is_admin(world, actor, project):
        return True
    if not directory.at_least(world, actor, project, "submittal_log", "Read Only"):
        return False
    if not submittal.private or actor.user_id in submittal.party_ids:
        return True
    place = directory.membership(world, project.id, actor.user_id)
    return place is not None and place.view_private_submittals


def visible(
    world: World, actor: Actor, project_id: int, submittal_id: int, *, deleted: bool = False
) -> tuple[Project, Submittal]:
    """The present state; raises NotFound when it is absent, deleted or invisible."""
    project = directory.project(world, actor, project_id)
    directory.tool_on(project, "submittal_log")
    found = world.store.get(Submittal, submittal_id)
    if (
        found is None
        or found.project_id != project_id
        or (found.deleted_at is not None) != deleted
        or not sees(world, actor, project, found)
    ):
        raise NotFound
    return project, found


def must_edit(world: World, actor: Actor, project: Project, submittal: Submittal) -> None:
    """Admins; and the creator, with Standard. Raises Forbidden."""
    if is_admin(world, actor, project):
        return
    directory.require(world, actor, project, "submittal_log", "Standard")
    if actor.user_id != submittal.created_by_id:
        raise Forbidden
