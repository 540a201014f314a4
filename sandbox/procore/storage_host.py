"""The storage host: presigned addresses only, and no bearer ever.

Behaviours 53 and 54 of docs/stand-ins.md.
"""

import hmac
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from sandbox.procore.domain import files
from sandbox.procore.errors import Refusal
from sandbox.procore.rest.file_links import signature
from sandbox.procore.rest.gate import Gate, Note
from sandbox.procore.world import World

Serve = Callable[[World, Request], Awaitable[Response]]


def build_storage(world: World, gate: Gate) -> Starlette:
    """An application of its own, on an origin of its own."""
    routes = [
        Route("/files/{sha256}", _guarded(world, gate, download), methods=["GET"]),
        Route("/uploads/{uuid}", _guarded(world, gate, receive_form), methods=["POST"]),
        Route("/uploads/{uuid}/{number:int}", _guarded(world, gate, receive_part), methods=["PUT"]),
    ]
    return Starlette(routes=routes)


def _guarded(world: World, gate: Gate, serve: Serve) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        async def perform(_note: Note) -> Response:
            if "authorization" in request.headers:
                return _error(
                    400,
                    "InvalidArgument",
                    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                    "Signature query string parameter or the Authorization header should be "
                    "specified",
                )
            try:
                return await serve(world, request)
            except Refusal as refusal:
                code, _, words = refusal.words[0].partition(": ")
                status = 403 if refusal.status == 410 else refusal.status
                return _error(status, code, words or code)

        return await gate.guarded(request, perform)

    return endpoint


def _error(status: int, code: str, words: str) -> Response:
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{words}</Message></Error>"
    )
    return Response(xml, status_code=status, media_type="application/xml")


async def download(world: World, request: Request) -> Response:
    """The bytes, until the address expires."""
    sha256 = str(request.path_params["sha256"])
    expires = request.query_params.get("X-Amz-Expires", "0")
    wanted = signature(world, sha256, expires)
    if not hmac.compare_digest(wanted, request.query_params.get("X-Amz-Signature", "")):
        return _error(403, "SignatureDoesNotMatch", "The request signature does not match.")
    if not expires.isdigit() or world.now().timestamp() > int(expires):
        return _error(403, "AccessDenied", "Request has expired")
    headers = {
        "content-disposition": request.query_params.get("response-content-disposition", ""),
        "etag": f'"{sha256[:32]}"',
    }
    kind = request.query_params.get("response-content-type", "application/octet-stream")
    return FileResponse(world.files.path(sha256), media_type=kind, headers=headers)


async def receive_form(world: World, request: Request) -> Response:
    """An unsegmented upload: every field of the policy first, the file last."""
    uuid = str(request.path_params["uuid"])
    async with request.form(max_part_size=64 * 1024 * 1024) as form:
        items = form.multi_items()
        if not items or items[-1][0] != "file" or not isinstance(items[-1][1], UploadFile):
            return _error(400, "InvalidArgument", "POST requires exactly one file upload, last.")
        fields = {name: value for name, value in items[:-1] if isinstance(value, str)}
        wanted = {
            "policy": signature(world, "policy", uuid)[:40],
            "x-amz-signature": signature(world, "upload", uuid),
        }
        if any(fields.get(name) != value for name, value in wanted.items()):
            return _error(403, "AccessDenied", "Invalid according to Policy.")
        files.receive_whole(world, uuid, await items[-1][1].read())
    return Response(status_code=204)


async def receive_part(world: World, request: Request) -> Response:
    """One segment; its ETag goes into the PATCH that completes the upload."""
    uuid, number = str(request.path_params["uuid"]), int(request.path_params["number"])
    wanted = signature(world, uuid, number)
    if not hmac.compare_digest(wanted, request.query_params.get("X-Amz-Signature", "")):
        return _error(403, "SignatureDoesNotMatch", "The request signature does not match.")
    etag = files.receive_segment(world, uuid, number, await request.body())
    return Response(status_code=200, headers={"ETag": etag})
