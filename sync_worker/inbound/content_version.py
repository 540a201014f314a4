"""The content version: a hash of a record in normal form, equal exactly when people see the same.

Files count by Procore id and name while their bytes are not here yet, and by hash once they are:
a record whose files arrived is another version than the one that waited for them.
"""

import hashlib
import json

import msgspec

from schemas.records import Record


def content_version(record: Record) -> str:
    """Return the hash of everything in a record but its own content version."""
    value = msgspec.to_builtins(msgspec.structs.replace(record, content_version=""))
    normal = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(normal.encode()).hexdigest()


def with_content_version(record: Record) -> Record:
    """Return the record with its content version filled in."""
    return msgspec.structs.replace(record, content_version=content_version(record))
