"""Where attachments are fetched: an address here that needs the bearer, then a short-lived one
at the storage host that refuses it: behaviour 53 of docs/stand-ins.md."""

import hashlib
import hmac
import secrets
from datetime import timedelta
from urllib.parse import quote, urlencode

from sandbox.procore.domain.attachments import Attachment
from sandbox.procore.world import World


def _key(world: World) -> bytes:
    kept = world.store.setting("file_key")
    if kept is None:
        kept = secrets.token_hex(32)
        world.store.keep_setting("file_key", kept)
    return kept.encode()


def signature(world: World, *parts: object) -> str:
    text = "\n".join(str(p) for p in parts)
    return hmac.new(_key(world), text.encode(), hashlib.sha256).hexdigest()


def address(world: World, company_id: int, project_id: int, attachment: Attachment) -> str:
    """The opaque `url` of an attachment; the host may differ between reads."""
    host = world.public_url
    if world.switches.file_hosts_alternate and world.more_file_hosts:
        host = world.random.choice((host, *world.more_file_hosts))
    query = urlencode(
        {
            "companyId": company_id,
            "projectId": project_id,
            "fileId": attachment.file_id,
            "sig": signature(world, company_id, project_id, attachment.id, attachment.file_id),
        }
    )
    return f"{host}/fas/api/v5/files/{attachment.id}/{quote(attachment.name, safe='')}?{query}"


def storage_address(world: World, sha256: str, name: str, content_type: str) -> str:
    """A presigned address at the storage host, good for `storage_url_life_s`."""
    life = timedelta(seconds=world.switches.storage_url_life_s)
    expires = int((world.now() + life).timestamp())
    query = urlencode(
        {
            "response-content-type": content_type,
            "response-content-disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "X-Amz-Expires": expires,
            "X-Amz-Signature": signature(world, sha256, expires),
        }
    )
    return f"{world.storage_url}/files/{sha256}?{query}"
