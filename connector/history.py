"""What a project's history is: one question a file, each row as one line of JSON.

Leases and fences are left out, as they say nothing about the project. Grants, sessions and the
key of the markers belong to no project and are asked nowhere here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an export."""

    name: str
    what: str
    sql: str  # $1 is the project; its only column is the line


LEASE = "'{lease_owner,lease_until,fence,claimed_by}'"
PROJECT = f"""
SELECT (to_jsonb(t) - {LEASE}::text[])::text AS line FROM mirror.projects t WHERE t.project_id = $1
"""  # noqa: S608 - a constant
CONNECTION = """
SELECT (to_jsonb(t) - 'once')::text AS line FROM authority.connections t WHERE t.project_id = $1
"""
CONNECTION_EVENTS = """
SELECT to_jsonb(t)::text AS line FROM authority.audit t WHERE t.project_id = $1 ORDER BY t.id
"""
DISPOSITIONS = """
SELECT to_jsonb(t)::text AS line FROM authority.dispositions t
WHERE t.project_id = $1 ORDER BY t.proposal_id
"""
RECORDS = f"""
SELECT (to_jsonb(t) - {LEASE}::text[])::text AS line FROM mirror.records t
WHERE t.project_id = $1 ORDER BY t.kind, t.procore_id
"""  # noqa: S608 - a constant
ORIGINS = "SELECT to_jsonb(t)::text AS line FROM mirror.origins t WHERE t.project_id = $1"
VERSIONS = """
SELECT to_jsonb(t)::text AS line FROM mirror.seen_versions t
WHERE t.project_id = $1 ORDER BY t.noted_at, t.kind, t.procore_id
"""
FILES = """
SELECT to_jsonb(t)::text AS line FROM mirror.files t WHERE t.project_id = $1 ORDER BY t.stored_at
"""
EMPTY_FILES = """
SELECT to_jsonb(t)::text AS line FROM mirror.empty_files t
WHERE t.project_id = $1 ORDER BY t.first_at
"""
LOOKS = f"""
SELECT (to_jsonb(t) - {LEASE}::text[])::text AS line FROM mirror.looks t
WHERE t.project_id = $1 ORDER BY t.first_asked_at, t.kind, t.procore_id
"""  # noqa: S608 - a constant
AWAITED_REPLIES = """
SELECT to_jsonb(t)::text AS line FROM mirror.awaited_replies t
WHERE t.project_id = $1 ORDER BY t.reply_id
"""
SWEEPS = f"""
SELECT (to_jsonb(t) - {LEASE}::text[])::text AS line FROM mirror.sweeps t
WHERE t.project_id = $1 ORDER BY t.kind
"""  # noqa: S608 - a constant
DELIVERIES = f"""
SELECT (to_jsonb(t) - {LEASE}::text[])::text AS line FROM mirror.deliveries t
WHERE t.project_id = $1 ORDER BY t.created_at, t.return_id
"""  # noqa: S608 - a constant
WRITES = f"""
SELECT (to_jsonb(t) - {LEASE}::text[])::text AS line FROM mirror.write_intents t
JOIN mirror.deliveries d USING (return_id) WHERE d.project_id = $1 ORDER BY t.sent_at, t.op_key
"""  # noqa: S608 - a constant
UPLOADS = """
SELECT to_jsonb(t)::text AS line FROM mirror.uploads t JOIN mirror.deliveries d USING (return_id)
WHERE d.project_id = $1 ORDER BY t.uploaded_at
"""
SEALS = """
SELECT to_jsonb(t)::text AS line FROM mirror.sealed_answers t
WHERE t.project_id = $1 ORDER BY t.sealed_at, t.return_id
"""
ELSEWHERE = """
SELECT to_jsonb(t)::text AS line FROM mirror.answers_elsewhere t
WHERE t.project_id = $1 ORDER BY t.noticed_at
"""
READINESS = """
SELECT to_jsonb(t)::text AS line FROM mirror.readiness t
WHERE t.project_id = $1 ORDER BY t.kind, t.procore_id
"""
ACTIVITY = """
SELECT to_jsonb(t)::text AS line FROM mirror.activity t WHERE t.project_id = $1 ORDER BY t.id
"""
LISTED = """
SELECT to_jsonb(t)::text AS line FROM mirror.listed t
WHERE t.project_id = $1 ORDER BY t.kind, t.procore_id
"""
COMPARISONS = """
SELECT to_jsonb(t)::text AS line FROM mirror.comparisons t WHERE t.project_id = $1 ORDER BY t.kind
"""
DIFFERENCES = """
SELECT to_jsonb(t)::text AS line FROM mirror.differences t
WHERE t.project_id = $1 ORDER BY t.found_at
"""
REMOVALS = """
SELECT to_jsonb(t)::text AS line FROM mirror.removals t WHERE t.project_id = $1 ORDER BY t.found_at
"""

PARTS = (
    Part("project", "the project as the workers know it, with pauses and attention", PROJECT),
    Part("connection", "its tie to Procore, its options, who owns it", CONNECTION),
    Part("connection-events", "who connected, was given a token, ended what", CONNECTION_EVENTS),
    Part("dispositions", "what the two parties agreed that Procore's codes mean", DISPOSITIONS),
    Part("records", "every RFI and submittal: which it is on both sides, and as last put", RECORDS),
    Part("origins", "RFIs that Procore itself copied about, and the one that stands", ORIGINS),
    Part("versions", "each content version that was put: its words and hashes", VERSIONS),
    Part("files", "files that were copied, by hash; their bytes are in Part3", FILES),
    Part("empty-files", "files that have no bytes in Procore", EMPTY_FILES),
    Part("looks", "notices that wait for a look, and looks that failed for now", LOOKS),
    Part("awaited-replies", "notices of replies whose RFI is not known yet", AWAITED_REPLIES),
    Part("sweeps", "how far each kind has been listed", SWEEPS),
    Part("deliveries", "every return: where it stands, why it is held, its receipt", DELIVERIES),
    Part("writes", "every write to Procore: its marker, its sends, its outcome", WRITES),
    Part("uploads", "files that were uploaded with returns", UPLOADS),
    Part("seals", "what was read back and sealed, and what has changed since", SEALS),
    Part("answers-elsewhere", "responses given in Procore and not through Part3", ELSEWHERE),
    Part("readiness", "who could return which record, as Part3 was told", READINESS),
    Part("activity", "what happened, in sentences, holds and their ends too", ACTIVITY),
    Part("listed", "the last full listing of each kind", LISTED),
    Part("comparisons", "what came of comparing both sides", COMPARISONS),
    Part("differences", "where they differed, and since when they do not", DIFFERENCES),
    Part("removals", "records that went to the recycle bin in a burst", REMOVALS),
)
