"""Every endpoint of the API host."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.procore.errors import NotFound
from sandbox.procore.rest import hooks, platform, rfis, submittals, uploads
from sandbox.procore.rest.call import Call
from sandbox.procore.rest.gate import Endpoint, Gate, Handler, Note

PROJECT = "/projects/{project_id}"
HOOKS = "/webhooks/hooks"
HOOK = HOOKS + "/{hook_id}"

WITHOUT_COMPANY: dict[tuple[str, str], Handler] = {
    ("GET", "/rest/v1.0/me"): platform.me,
    ("GET", "/rest/v1.0/companies"): platform.companies,
}

PLATFORM: dict[tuple[str, str], Handler] = {
    ("GET", "/rest/v1.{minor}/projects"): platform.projects,
    ("GET", "/rest/v1.0" + PROJECT): platform.project,
    ("GET", "/rest/v1.0" + PROJECT + "/users"): platform.users,
    ("GET", "/rest/v1.0" + PROJECT + "/users/{id}"): platform.user,
    ("GET", "/rest/v1.0/settings/permissions"): platform.permissions,
    ("GET", "/rest/v1.0" + PROJECT + "/tools"): platform.tools,
}


def _if_served(handler: Handler) -> Handler:
    """In the versions of the path that the switch serves."""

    def serve(call: Call) -> Response:
        served = call.world.switches.rfi_versions
        if served not in ("both", f"1.{call.request.path_params['minor']}"):
            raise NotFound
        return handler(call)

    return serve


RFI = "/rest/v1.{minor}" + PROJECT + "/rfis"
RFIS: dict[tuple[str, str], Handler] = {
    ("GET", RFI): _if_served(rfis.listing),
    ("POST", RFI): rfis.create,
    ("PATCH", RFI): rfis.batch,
    ("GET", RFI + "/recycle_bin"): rfis.recycle_bin,
    ("GET", RFI + "/potential_assignees"): rfis.potential_assignees,
    ("GET", RFI + "/potential_rfi_managers"): rfis.potential_managers,
    ("GET", RFI + "/{id}"): _if_served(rfis.show),
    ("PATCH", RFI + "/{id}"): rfis.update,
    ("PATCH", RFI + "/{id}/recycle"): rfis.recycle,
    ("PATCH", RFI + "/{id}/retrieve"): rfis.retrieve,
    ("PATCH", RFI + "/{id}/advance_ball_in_court"): rfis.advance_ball,
    ("PATCH", RFI + "/{id}/forward_for_review"): rfis.forward,
    ("GET", RFI + "/{rfi_id}/replies"): rfis.replies,
    ("POST", RFI + "/{rfi_id}/replies"): rfis.add_reply,
    ("GET", RFI + "/{rfi_id}/replies/{id}"): rfis.reply,
    ("PATCH", RFI + "/{rfi_id}/replies/{id}"): rfis.mark_reply,
    ("DELETE", RFI + "/{rfi_id}/replies/{id}"): rfis.delete_reply,
}

SUBMITTAL = "/rest/v1.{minor}" + PROJECT + "/submittals"
SUBMITTALS: dict[tuple[str, str], Handler] = {
    ("GET", SUBMITTAL): submittals.listing,
    ("POST", SUBMITTAL): submittals.create,
    ("GET", SUBMITTAL + "/recycle_bin"): submittals.recycle_bin,
    ("GET", SUBMITTAL + "/next_available_number"): submittals.next_number,
    ("GET", SUBMITTAL + "/next_available_number/{spec_section_id}"): submittals.next_number,
    ("GET", SUBMITTAL + "/{id}"): submittals.show,
    ("PATCH", SUBMITTAL + "/{id}"): submittals.update,
    ("DELETE", SUBMITTAL + "/{id}"): submittals.delete,
    ("PATCH", SUBMITTAL + "/{id}/restore"): submittals.restore,
    ("GET", SUBMITTAL + "/{id}/revisions"): submittals.revisions,
    ("GET", SUBMITTAL + "/{id}/workflow_data"): submittals.workflow_data,
    ("PATCH", "/rest/v1.0/submittal_approvers/{id}"): submittals.respond,
    (
        "PATCH",
        "/rest/v1.0" + PROJECT + "/submittal_logs/{id}/close_and_distribute",
    ): submittals.close_and_distribute,
    ("GET", "/rest/v1.0/submittal_responses"): submittals.response_options,
    ("GET", "/rest/v1.0" + PROJECT + "/submittal_responses"): submittals.response_options,
    ("GET", "/rest/v1.0/companies/{company_id}/submittal_statuses"): submittals.statuses,
    ("GET", "/rest/v1.0/companies/{company_id}/submittal_types"): submittals.types,
}

WEBHOOKS: dict[tuple[str, str], Handler] = {
    ("GET", "/webhooks/resources"): hooks.resources,
    ("GET", HOOKS): hooks.listing,
    ("POST", HOOKS): hooks.create,
    ("GET", HOOK): hooks.show,
    ("PATCH", HOOK): hooks.update,
    ("DELETE", HOOK): hooks.delete,
    ("GET", HOOK + "/triggers"): hooks.triggers,
    ("POST", HOOK + "/triggers"): hooks.add_trigger,
    ("POST", HOOK + "/triggers/bulk"): hooks.bulk_add,
    ("DELETE", HOOK + "/triggers/bulk"): hooks.bulk_remove,
    ("DELETE", HOOK + "/triggers/{trigger_id}"): hooks.remove_trigger,
    ("GET", HOOK + "/deliveries"): hooks.deliveries,
}

UPLOAD = "/rest/v1.{minor}" + PROJECT + "/uploads"
UPLOADS: dict[tuple[str, str], Handler] = {
    ("POST", UPLOAD): uploads.create,
    ("GET", UPLOAD + "/{uuid}"): uploads.show,
    ("PATCH", UPLOAD + "/{uuid}"): uploads.complete,
}

COMPANY_SCOPE = "/rest/v2.0/companies/{company_id}"


def api_routes(gate: Gate) -> list[BaseRoute]:
    """Fixed paths stand before those with an id in the same place."""
    routes: list[BaseRoute] = [
        Route(path, gate.endpoint(handler, company=False), methods=[method])
        for (method, path), handler in WITHOUT_COMPANY.items()
    ]
    for table in (PLATFORM, RFIS, SUBMITTALS, UPLOADS):
        routes += [
            Route(path, gate.endpoint(handler), methods=[method])
            for (method, path), handler in table.items()
        ]
    for scope in (COMPANY_SCOPE + PROJECT, COMPANY_SCOPE):
        routes += [
            Route(scope + path, gate.endpoint(handler), methods=[method])
            for (method, path), handler in WEBHOOKS.items()
        ]
    download = gate.endpoint(uploads.download, api=False)
    routes.append(Route("/fas/api/v5/files/{attachment_id}/{name:path}", download))
    routes.append(Route("/rest/{rest:path}", unknown_of(gate), methods=ANY))
    return routes


ANY = ["GET", "POST", "PATCH", "PUT", "DELETE"]


def unknown_of(gate: Gate) -> Endpoint:
    """A path that Procore does not have; it stands in the ledger all the same."""

    async def unknown(request: Request) -> Response:
        async def perform(_note: Note) -> Response:
            raise NotFound

        return await gate.guarded(request, perform)

    return unknown
