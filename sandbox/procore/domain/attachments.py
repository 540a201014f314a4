"""A file on a record, and the bytes behind it."""

from datetime import datetime

import msgspec

from sandbox.procore.store import Kept


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file in its place on a record; `id` is its identity, `file_id` the stored bytes."""

    id: int
    file_id: int
    name: str
    content_type: str
    size: int  # bytes
    sha256: str
    attached_at: datetime
    attached_by_id: int


class StoredFile(Kept, frozen=True, kw_only=True):
    """Procore's "prostore file": bytes that may be attached in several places."""

    id: int
    company_id: int
    name: str
    content_type: str
    size: int
    sha256: str
    uploaded_by_id: int
    created_at: datetime
