"""Defects in how records get from Procore to Part3."""

from tests.mutants.defect import Defect

FILES = "services/procore/files.py"
T_FILES = "tests/procore_client/test_procore_files.py::test_"
T_PACER = "tests/procore_client/test_procore_pacer.py::test_"
T_SETTLING = "tests/inbound/test_settling.py::test_"
T_BRAKE = "tests/worker/test_removal_brake.py::test_"

DEFECTS = (
    Defect(
        "stale-read-accepted",
        "sync_worker/inbound/settling.py",
        "    return not _may_be_half(seen)",
        "    return True",
        T_SETTLING + "what_moves_the_ball_without_moving_it_may_be_half_a_state",
    ),
    Defect(
        "reply-taken-for-answered",
        "sync_worker/inbound/settling.py",
        'if one.reason == "create":\n        return one.reply_id in now',
        'if one.reason == "create":\n        return True',
        T_SETTLING + "a_reply_is_answered_by_the_look_that_shows_it",
    ),
    Defect(
        "echo-of-our-reply-not-recognised",
        "sync_worker/consume.py",
        "    AND $3 = 'create')\n",
        "    AND $3 = 'none')\n",
        "tests/inbound/test_intake_postgres.py::test_"
        "the_echo_of_a_reply_that_we_delivered_lists_nothing",
    ),
    Defect(
        "equal-record-put-again",
        "sync_worker/inbound/mirror.py",
        "if record.content_version == before.content_version and not before.put_unheard:",
        "if record.content_version == before.content_version and source is None:",
        "tests/worker/test_mirror.py::test_an_equal_record_is_not_put_again",
    ),
    Defect(
        "unheard-put-forgotten",
        "sync_worker/inbound/mirror.py",
        "before.content_version and not before.put_unheard:",
        "before.content_version:",
        "tests/worker/test_unheard_puts.py::test_what_is_as_before_an_unheard_put_is_put_again",
    ),
    Defect(
        "recycled-by-404-alone",
        "sync_worker/inbound/recycling.py",
        "return ids if key.procore_id in ids else None",
        "return ids",
        "tests/worker/test_looking.py::test_what_procore_does_not_show_is_no_deletion",
    ),
    Defect(
        "record-lease-without-fence",
        "sync_worker/leases.py",
        "fence = r.fence + 1",
        "fence = r.fence",
        "tests/inbound/test_record_leases.py::test_the_fence_only_grows",
    ),
    Defect(
        "lease-taken-from-its-holder",
        "sync_worker/leases.py",
        "    AND (lease_owner IS NULL OR lease_until < now())\n",
        "",
        "tests/inbound/test_record_leases.py::test_a_record_has_one_writer_at_a_time",
    ),
    Defect(
        "removal-brake-off",
        "sync_worker/inbound/brake.py",
        "return burst.at_once > max(FEW, SHARE * burst.live)",
        "return burst.at_once > max(FEW, burst.live)",
        T_BRAKE + "a_burst_is_more_than_five_and_more_than_a_tenth",
    ),
    Defect(
        "removal-not-confirmed-and-marked",
        "sync_worker/inbound/brake.py",
        'return bool(standing["confirmed"])',
        "return True",
        T_BRAKE + "what_went_after_the_person_had_looked_is_not_confirmed",
    ),
    Defect(
        "files-pending-ignored",
        "sync_worker/inbound/labels.py",
        "    if pending:\n",
        "    if not pending:\n",
        "tests/inbound/test_translating_rfis.py::test_files_that_are_not_here_yet_are_counted",
    ),
    Defect(
        "participants-of-a-private-record-missing",
        "sync_worker/inbound/labels.py",
        "    if source.private:\n",
        "    if not source.private:\n",
        "tests/field/test_visibility.py::test_a_private_record_is_for_its_participants",
    ),
    Defect(
        "private-shown-to-all",
        "token_service/public/activity.py",
        "($4 OR NOT coalesce((r.record->>'private')::boolean, false) OR",
        "($4 OR NOT coalesce((r.record->>'secret')::boolean, false) OR",
        "tests/pages/test_activity_page.py::TestPrivateRecords::"
        "test_who_takes_no_part_sees_the_number_alone",
    ),
    Defect(
        "comparison-blind-to-fields",
        "sync_worker/completeness/judging.py",
        "    if kept != held:\n",
        "    if kept.title != held.title:\n",
        "tests/worker/test_judging.py::test_a_record_that_part3_holds_otherwise_in_any_field_differs",
    ),
    Defect(
        "comparison-blind-to-lost-files",
        "sync_worker/completeness/comparing.py",
        "return [file for file in files if not seen.files[file.sha256]]",
        "return []",
        "tests/worker/test_comparing.py::test_what_part3_lost_or_holds_otherwise_is_put_again",
    ),
    Defect(
        "error-page-taken-for-a-file",
        FILES,
        'return beginning.lstrip(b"\\xef\\xbb\\xbf \\t\\r\\n").lower().startswith(PAGE_BEGINNINGS)',
        "return False",
        T_FILES + "an_error_page_is_no_file_whatever_it_calls_itself",
    ),
    Defect(
        "html-type-taken-for-a-file",
        FILES,
        "    _refuse_error_page(attachment, kind)\n",
        "",
        T_FILES + "what_is_not_the_whole_file_is_fetched_again_later",
    ),
    Defect(
        "empty-file-taken",
        FILES,
        '    if arriving.size == 0:\n        message = f"{name} arrived empty"',
        '    if arriving.size < 0:\n        message = f"{name} arrived empty"',
        T_FILES + "what_is_not_the_whole_file_is_fetched_again_later",
    ),
    Defect(
        "bearer-sent-to-the-storage",
        "services/procore/origins.py",
        "return origin == self.api or _matches(origin, PROCORE_HOSTS)",
        'return origin.startswith("http")',
        T_FILES + "the_bearer_goes_to_the_api_and_is_dropped_at_the_redirect",
    ),
    Defect(
        "redirect-anywhere",
        FILES,
        "        self.origins.check(url)\n        if not self.origins.takes_bearer(url):",
        "        if not self.origins.takes_bearer(url):",
        T_FILES + "a_redirect_elsewhere_is_not_followed",
    ),
    Defect(
        "redirect-followed-to-a-private-address",
        "services/checked_connections.py",
        "if not all(is_public(one) for one in addresses):",
        "if not addresses:",
        "tests/procore_client/test_checked_connections.py::test_"
        "a_name_that_leads_inside_is_not_connected_to",
    ),
    Defect(
        "redirects-followed-by-the-client",
        "services/http_client.py",
        "follow_redirects=False,",
        "follow_redirects=True,",
        "tests/procore_client/test_calling_out.py::test_a_redirect_is_given_back_and_not_followed",
    ),
    Defect(
        "another-file-gone-on-with",
        "services/procore/arriving.py",
        "if not left and digest.hexdigest() == note.sha256:",
        "if not left:",
        "tests/procore_client/test_files_that_were_cut.py::test_"
        "what_a_crash_left_on_the_disk_is_trusted_only_by_its_hash",
    ),
    Defect(
        "429-not-waited-out",
        "services/procore/pacer.py",
        "            self._closed_until = max(self._closed_until, self._now() + wait_s)\n",
        "",
        T_PACER + "between_a_429_and_its_reset_nothing_goes_not_even_a_return",
    ),
    Defect(
        "reserve-of-returns-spent-by-sweeps",
        "services/procore/pacer.py",
        "self._reserved_until if priority >= Priority.SWEEP else 0.0",
        "0.0",
        T_PACER + "the_last_fifth_of_a_window_is_kept_for_looks_and_returns",
    ),
    Defect(
        "tenant-missing-in-a-statement",
        "sync_worker/inbound/look_store.py",
        "SELECT reply_id, reason, occurred_at FROM mirror.awaited_replies WHERE project_id = $1",
        "SELECT reply_id, reason, occurred_at FROM mirror.awaited_replies WHERE $1 <> ''",
        "tests/test_tenant_in_every_statement.py::test_"
        "d14_a_statement_names_its_tenant_or_serves_all",
    ),
    Defect(
        "address-in-an-error",
        FILES,
        'message = f"{name}: the storage answered {status}"',
        'message = f"{name}: the storage answered {status} to {answer.url}"',
        T_FILES + "no_error_tells_the_signed_address",
    ),
)
