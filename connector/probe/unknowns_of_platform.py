"""Unknowns of OAuth, webhooks, limits and permissions: 3 to 9, 12 and 13."""

from connector.probe.unknown_parts import NOTHING, Part

HOOKS = "token_service/connections/hooks.py"

PLATFORM_PARTS = (
    Part(
        key="3.user_token",
        asks="May a project Admin's user token make a project webhook?",
        assumed="yes",
        rests_on=(
            f"{HOOKS}: makes the hook under the owner's grant",
            "token_service/connections/wizard.py: nobody is connected without the hook",
        ),
    ),
    Part(
        key="4.application",
        asks="Is source_application_id filled for changes by an authorization-code app?",
        assumed="either: payload v4.0 has none, and echoes are known by the record",
        rests_on=("webhook_gateway/procore.py: reads no metadata", NOTHING),
    ),
    Part(
        key="4.operation",
        asks="Does an Idempotency-Token of ours come back as source_operation_id?",
        assumed="no: a return is found again by its visible marker",
        rests_on=("sync_worker/outbound/marker.py: the marker", NOTHING),
    ),
    Part(
        key="5.names",
        asks="Does the v4.0 listing name RFIs, RFI Replies and Submittals with all three actions?",
        assumed="yes, spelled as in v2.0",
        rests_on=(
            f"{HOOKS}: refuses to connect where one is not offered",
            "schemas/notices.py: RESOURCE_NAMES",
        ),
    ),
    Part(
        key="5.reasons",
        asks="Which reasons do v4.0 events of RFIs and submittals give?",
        assumed="create, update and delete; any other is taken as a change too",
        rests_on=("webhook_gateway/procore.py: reads the reason",),
    ),
    Part(
        key="6.missing_header",
        asks="What is answered without Procore-Company-Id?",
        assumed="400: it is always sent",
        rests_on=("services/procore/call.py: sends it with each call", NOTHING),
    ),
    Part(
        key="6.spent",
        asks="What is answered to a spent refresh token?",
        assumed="400 or 401 with invalid_grant",
        rests_on=("services/procore/oauth.py: read_token_answer, InvalidGrant",),
    ),
    Part(
        key="6.client",
        asks="What is answered to a wrong client secret?",
        assumed="a status below 500 and not invalid_grant, so that no grant is given up for it",
        rests_on=("services/procore/oauth.py: read_token_answer, NotProcessed",),
    ),
    Part(
        key="6.old_access",
        asks="Does the old access token live on after a refresh?",
        assumed="either: a 401 is met by asking the token service once more",
        rests_on=("services/procore/call.py: replacement_for after a 401", NOTHING),
    ),
    Part(
        key="6.idle",
        asks="Does a refresh token expire that is not used for weeks?",
        assumed="perhaps: idle grants are renewed",
        rests_on=("token_service/housekeeping.py: keeps idle grants warm",),
    ),
    Part(
        key="7.limits",
        asks="Which limits and windows do the rate headers show?",
        assumed="limit, remaining and reset on each answer; no number is relied on",
        rests_on=("services/procore/pacer.py: is fed by the headers",),
    ),
    Part(
        key="7.key",
        asks="Do two people's tokens share one limit?",
        assumed="no: each grant has its own",
        rests_on=(
            "services/procore/turns.py: a pacer per grant",
            "services/procore/pacing.py: shared among workers by grant",
        ),
    ),
    Part(
        key="8.duplicate",
        asks="Is a second webhook of the same namespace in a project refused with 400?",
        assumed="yes",
        rests_on=(f"{HOOKS}: ensure looks for the hook again after a 400",),
    ),
    Part(
        key="8.limits",
        asks="How many webhooks may a project have?",
        assumed="more than one; ours is one",
        rests_on=(f"{HOOKS}: one hook a project",),
    ),
    Part(
        key="8.retention",
        asks="For how long are deliveries listed?",
        assumed="at least a day",
        rests_on=(f"{HOOKS}: asks for yesterday's failed and discarded deliveries",),
    ),
    Part(
        key="8.disabled",
        asks="When is a failing webhook disabled, and how is that announced?",
        assumed="at some time, without a word to us: each hook is compared every HOOK_AUDIT_S",
        rests_on=("sync_worker/duties.py: mind_a_hook",),
    ),
    Part(
        key="9.names",
        asks="What are the RFI and Submittals tools called in the manifest?",
        assumed="one of several names, or known by the end of the address",
        rests_on=("services/procore/permissions.py: RFIS, SUBMITTALS",),
    ),
    Part(
        key="9.granular",
        asks="Should somebody with granular permissions below Admin count as Admin?",
        assumed="no: Admin on both tools is required of who connects",
        rests_on=("services/procore/permissions.py: is_admin_of_both",),
    ),
    Part(
        key="12.pkce",
        asks="Is a code exchanged with a wrong code_verifier refused?",
        assumed="either: a S256 challenge is sent, and the right verifier with it",
        rests_on=("services/procore/oauth.py: authorize_url and exchange", NOTHING),
    ),
    Part(
        key="13.versions",
        asks="Are RFIs listed and shown at v1.0, and at v1.1?",
        assumed="at v1.0",
        rests_on=("services/procore/client.py: LISTS",),
    ),
    Part(
        key="13.advance",
        asks="Does advance_ball_in_court want a body?",
        assumed="not known: it is never called",
        rests_on=(NOTHING,),
    ),
)
