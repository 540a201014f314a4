"""Where the sources on Procore conflict, the stand-in can behave either way.

Set at runtime by `POST /_sandbox/switches` with any of these names; unknown names are refused.
A number is that of the behaviour in docs/stand-ins.md, which tells what each switch decides.
"""

from typing import Literal

import msgspec


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each field is one choice; the default is the documented or likelier side."""

    # OAuth
    expires_in_s: int = 5400  # 5
    invalid_grant_status: Literal[400, 401] = 400  # 1
    refresh_ends_old_access_token: bool = False  # 1
    invalid_client_status: Literal[400, 401] = 401  # 7
    pkce: Literal["ignored", "enforced"] = "ignored"
    missing_company_header: Literal["400", "404", "tolerated"] = "400"  # 9
    # webhooks
    hook_permission: Literal["tool_admin", "project_admin", "nobody"] = "tool_admin"
    probe_new_hooks: bool = False  # 27: HEAD on the address of a new hook
    event_source: Literal["filled", "null", "mixed"] = "filled"  # 17
    event_operation: Literal["null", "idempotency_token"] = "null"  # 17
    v4_resource_names: Literal["same", "lower"] = "same"  # 11: in the listing of what there is
    hooks_per_project: int = 0  # with 0 as many as you like
    deliveries_kept_days: int = 0  # 26: with 0 for ever
    event_data: bool = False  # 16: an unknown `data` object in v4.0
    event_reason: str | None = None  # 16: a new word in place of "update" in v4.0
    event_repeats: int = 1  # 18: how often each event is delivered
    event_repeat_ids: Literal["same", "different"] = "same"  # 18
    delivery_timeout_s: float = 5.0  # 22: real seconds
    disable_hook_after_discards: int = 3  # 23: discarded queues in a row, 0 for never
    # RFIs
    scalar_status_filter: Literal["400", "accepted"] = "400"  # 28
    assignees_missing_status: Literal[400, 422] = 422  # 30
    reply_patch_of_text: Literal["ignored", "rejected"] = "ignored"  # 33
    ball_after_reply: Literal["moves", "waits_for_advance"] = "moves"  # 34
    reply_raises_rfi_update: Literal["always", "when_ball_moves", "never"] = "when_ball_moves"  # 25
    rfi_forward_raises_update: bool = True
    rfi_versions: Literal["both", "1.0", "1.1"] = "both"  # of list and show
    advance_ball_body: Literal["ignored", "required"] = "ignored"  # 34
    retrieve_raises: Literal["create", "update"] = "update"  # 35
    official_replies: Literal["several", "exclusive"] = "several"  # 32
    rfi_reopen_ball: Literal["assignees", "manager"] = "assignees"  # 32
    # submittals
    unknown_submittal_filter: Literal["ignored", "400"] = "ignored"  # 40
    attachments_at_create: Literal["kept", "dropped"] = "kept"  # 42
    submittal_recycle_bin: Literal["served", "absent"] = "served"  # in some descriptions only
    upload_ids_on_submittals: Literal["accepted", "ignored"] = "accepted"  # 42
    upload_ids_on_responses: Literal["accepted", "ignored"] = "accepted"  # 47
    admin_answers_for_others: bool = True  # 36
    parallel_step: Literal["waits_for_all", "moves_with_first"] = "waits_for_all"  # 37
    package_move_raises_update: bool = True
    response_raises_update: bool = True
    close_in_two_events: bool = True  # 45
    approver_patch_answer: Literal["object", "array"] = "object"  # 47
    # platform
    stale_reads_s: float = 0.0  # 24: every read shows the state of so long ago
    rate_limit_hourly: int = 3600  # 50
    rate_limit_spike: int = 100  # 50: per 10 s
    rate_limit_key: Literal["app_and_user", "app", "company"] = "app_and_user"  # 50
    retry_after_on_429: bool = True  # 50
    tool_names: Literal["singular", "plural"] = "singular"  # in the permission manifest
    max_per_page: int = 300  # 49: lists may cap lower
    default_per_page: int = 100  # 49
    storage_url_life_s: int = 300  # 53
    file_hosts_alternate: bool = False  # 53
    error_bodies: Literal["native", "message", "error", "v2", "html"] = "native"  # 52
    unknown_extra_keys: bool = True  # 57
    names_with_company: bool = True  # 57
