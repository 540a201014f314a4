"""Uploads, and the way to an attachment's bytes: behaviours 53 and 54 of docs/stand-ins.md."""

import hmac
from typing import Any

from starlette.responses import RedirectResponse, Response

from sandbox.procore.domain import directory, files
from sandbox.procore.domain.attachments import StoredFile
from sandbox.procore.errors import BadRequest, NotFound
from sandbox.procore.rest import params
from sandbox.procore.rest.answers import json_response
from sandbox.procore.rest.call import Call
from sandbox.procore.rest.file_links import signature, storage_address
from sandbox.procore.world import World


def create(call: Call) -> Response:
    given = call.body
    segments = given.get("segments") or []
    if not isinstance(segments, list):
        raise BadRequest(fields={"segments": ["is not an array"]})
    announced = files.Announced(
        name=str(given.get("response_filename") or ""),
        content_type=str(given["response_content_type"])
        if given.get("response_content_type")
        else None,
        size=params.optional_whole(given.get("size"), "size"),
        segments=tuple(_segment(one) for one in segments),
    )
    upload = files.announce(call.world, call.actor, call.project_id(), announced)
    return json_response(_body(call.world, upload), 201)


def _segment(given: Any) -> files.Segment:
    if not isinstance(given, dict) or not given.get("sha256"):
        raise BadRequest(fields={"segments": ["need size and sha256"]})
    return files.Segment(
        size=params.whole(given.get("size"), "size"),
        sha256=str(given["sha256"]).lower(),
        md5=given.get("md5"),
    )


def complete(call: Call) -> Response:
    """Put segments together by the ETags that storage answered."""
    segments = call.body.get("segments") or []
    etags = [str(s.get("etag", "")) for s in segments if isinstance(s, dict)]
    uuid = str(call.request.path_params["uuid"])
    upload = files.complete(call.world, call.actor, call.project_id(), uuid, etags)
    return json_response(_body(call.world, upload))


def show(call: Call) -> Response:
    uuid = str(call.request.path_params["uuid"])
    upload = files.own_upload(call.world, call.actor, call.project_id(), uuid)
    return json_response(_body(call.world, upload))


def _body(world: World, upload: files.Upload) -> dict[str, Any]:
    place = f"{world.storage_url}/uploads/{upload.uuid}"
    body: dict[str, Any] = {"uuid": upload.uuid, "status": upload.status}
    if not upload.segments:
        fields = {
            "key": f"uploads/{upload.company_id}/{upload.uuid}",
            "Content-Type": upload.content_type,
            "policy": signature(world, "policy", upload.uuid)[:40],
            "x-amz-signature": signature(world, "upload", upload.uuid),
        }
        return {**body, "url": place, "fields": fields}
    body["segments"] = [
        {
            "url": f"{place}/{number}?X-Amz-Signature={signature(world, upload.uuid, number)}",
            "headers": {"x-amz-content-sha256": segment.sha256},
            "size": segment.size,
            "sha256": segment.sha256,
            "md5": segment.md5,
            "etag": segment.etag,
        }
        for number, segment in enumerate(upload.segments)
    ]
    return body


def download(call: Call) -> Response:
    """With the bearer, on to the storage host; there the bearer is refused."""
    query = call.query
    company_id, project_id = query.get("companyId", ""), query.get("projectId", "")
    wanted = signature(
        call.world, company_id, project_id, call.id("attachment_id"), query.get("fileId")
    )
    if not hmac.compare_digest(wanted, str(query.get("sig", ""))):
        raise NotFound
    directory.project(call.world, call.actor, params.whole(project_id, "projectId"))
    file = call.world.store.get(StoredFile, query.get("fileId"))
    if file is None:
        raise NotFound
    target = storage_address(call.world, file.sha256, file.name, file.content_type)
    return RedirectResponse(target, 302)
