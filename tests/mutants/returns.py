"""Defects in how returns get to Procore."""

from tests.mutants.defect import Defect

INTENTS = "sync_worker/outbound/intents.py"
CHECK = "sync_worker/outbound/check.py"
DELIVER = "sync_worker/outbound/deliver.py"
SENDING = "sync_worker/outbound/sending.py"
STORE = "sync_worker/outbound/intent_store.py"
T_INTENTS = "tests/outbound/test_intents.py::test_"
T_CHECK = "tests/outbound/test_check_return.py::test_"
T_DELIVER = "tests/outbound/test_delivering.py::test_"
T_DOUBT = "tests/outbound/test_delivering_in_doubt.py::test_"
T_CONTRACT = "tests/outbound/test_intents_contract.py::test_"
T_WORDS = "tests/outbound/test_words_and_markers.py::test_"
T_RULE = "tests/dispositions/test_disposition_rule.py::test_"

DEFECTS = (
    Defect(
        "no-quiet-period",
        INTENTS,
        "if intent.not_before is not None and now < intent.not_before:",
        "if intent.not_before is not None and now < now:",
        T_INTENTS + "absence_means_nothing_before_the_quiet_period_is_over",
    ),
    Defect(
        "third-send-allowed",
        INTENTS,
        "if intent.sends >= MAX_SENDS + asked_again:",
        "if intent.sends > MAX_SENDS + asked_again:",
        T_INTENTS + "after_the_quiet_period_it_may_go_once_more_and_then_a_person_decides",
    ),
    Defect(
        "look-up-before-resend-skipped",
        INTENTS,
        "    if seen is None:\n        return LookUp()",
        "    if seen is None:\n        return Check()",
        T_INTENTS + "what_may_have_arrived_is_looked_up_first",
    ),
    Defect(
        "arming-without-lease",
        STORE,
        "WHERE return_id = $1 AND fence = $2 AND lease_until > now() FOR UPDATE",
        "WHERE return_id = $1 AND $2::bigint IS NOT NULL FOR UPDATE",
        T_CONTRACT + "arming_needs_the_lease_that_stands",
    ),
    Defect(
        "armed-twice-in-its-quiet-period",
        STORE,
        "(state IN ('sending', 'unknown', 'needs_human') AND not_before <= now())",
        "(state IN ('sending', 'unknown', 'needs_human'))",
        T_CONTRACT + "what_is_armed_is_not_armed_again_in_its_quiet_period",
    ),
    Defect(
        "write-not-armed",
        SENDING,
        "            await self._intents.arm(intent, fence, self._quiet_s, response)\n",
        "",
        T_DOUBT + "what_leaves_is_noted_as_sending_before",
    ),
    Defect(
        "lease-without-fence",
        "sync_worker/outbound/delivery_store.py",
        "lease_until = now() + make_interval(secs => $2), fence = fence + 1,",
        "lease_until = now() + make_interval(secs => $2), fence = fence,",
        "tests/outbound/test_deliveries_postgres.py::test_"
        "a_worker_that_slept_through_its_lease_changes_nothing",
    ),
    Defect(
        "anothers-grant",
        DELIVER,
        "me = await self._author_in_procore(answer)",
        "me = tie.reader_user_id",
        T_DELIVER + "without_a_grant_it_waits_for_its_author_and_then_goes_by_itself",
    ),
    Defect(
        "anothers-grant-for-the-calls",
        "sync_worker/outbound/errand.py",
        "return self.answer.author.user_id",
        "return self.tie.reader_user_id",
        T_DELIVER + "every_call_is_made_under_the_authors_own_grant",
    ),
    Defect(
        "adopts-a-quotation",
        DELIVER,
        "if reply.author_id in (None, errand.me) and carries(reply.html, errand.intent.marker)",
        "if carries(reply.html, errand.intent.marker)",
        T_DOUBT + "an_adopted_reply_is_the_authors_own_and_not_a_quotation_of_it",
    ),
    Defect(
        "not-looked-at-before-the-first-send",
        DELIVER,
        "if there := sighting_in(record, errand).remote_ids:",
        "if there := sighting_in(record, errand).remote_ids[:0]:",
        T_DOUBT + "a_database_restored_from_before_the_write_does_not_send_it_twice",
    ),
    Defect(
        "marker-missing",
        "sync_worker/outbound/marker.py",
        "return text is not None and marker in MARKER.findall(text)",
        "return False",
        T_DOUBT + "a_lost_answer_is_found_by_its_marker_and_not_sent_again",
    ),
    Defect(
        "marker-found-within-a-word",
        "sync_worker/outbound/marker.py",
        "return text is not None and marker in MARKER.findall(text)",
        "return text is not None and marker in text",
        T_WORDS + "a_marker_is_found_as_a_word_only",
    ),
    Defect(
        "marker-not-written-in-a-reply",
        "sync_worker/outbound/compose.py",
        'body = f"{paragraphs(text)}<p>{line}</p>"',
        "body = paragraphs(text)",
        T_WORDS + "the_marker_is_the_last_line_people_see",
    ),
    Defect(
        "marker-not-written-in-a-comment",
        "sync_worker/outbound/compose.py",
        'body = f"{text.rstrip()}\\n\\n{line}" if text.strip() else line',
        "body = text.rstrip()",
        T_DELIVER + "a_response_arrives_with_its_code_comment_and_cover_page",
    ),
    Defect(
        "read-back-skipped",
        "sync_worker/outbound/read_back.py",
        "if words_of_html(reply.html) != words_of_html(sent.body):",
        "if not words_of_html(reply.html):",
        T_WORDS + "other_words_do_not_read_back_equal",
    ),
    Defect(
        "stale-read-is-final",
        "sync_worker/outbound/proof.py",
        "if waited < self._window:",
        "if waited < waited:",
        T_DOUBT + "a_stale_read_is_read_again_before_anything_is_said",
    ),
    Defect(
        "unknown-outcome-taken-for-none",
        "services/procore/call.py",
        "            raise OutcomeUnknown(str(error)) from error",
        '            raise TryLater(str(error), reason="procore_down") from error',
        "tests/procore_client/test_procore_call.py::test_"
        "a_write_whose_effect_cannot_be_told_is_sent_once_and_says_so",
    ),
    Defect(
        "overwrites-what-was-answered-in-procore",
        CHECK,
        "if row is not None and has_answered(row):",
        "if row is not None and has_answered(row) and not answer.confirmed_despite:",
        T_CHECK + "a_response_given_in_procore_is_never_overwritten_even_when_confirmed",
    ),
    Defect(
        "own-reply-taken-for-one-given-in-procore",
        CHECK,
        "return reply.id in ours or MARKER.search(reply.html) is not None",
        "return reply.id in ours",
        T_CHECK + "replies_that_are_not_the_authors_own_words_in_procore_hold_nothing",
    ),
    Defect(
        "stale-question-answered",
        CHECK,
        "return holds.question_changed(answer, record, parts, shown) if parts else None",
        "return None",
        T_CHECK + "what_changed_after_it_was_read_is_shown_first",
    ),
    Defect(
        "out-of-turn",
        CHECK,
        "if ball and row.user.id not in {user.id for user in ball}:",
        "if not ball and row.user.id not in {user.id for user in ball}:",
        T_CHECK + "a_submittal_that_takes_no_response_holds_it",
    ),
    Defect(
        "code-looser-without-both",
        "services/dispositions.py",
        "or (warned and not said.despite_looser)",
        "or (warned and said is None)",
        T_RULE + "a_stricter_code_never_becomes_a_looser_one_unless_both_said_so",
    ),
    Defect(
        "code-by-one-party",
        "services/dispositions.py",
        "next((one for one in reversed(about) if not unconfirmed(one)), None)",
        "next((one for one in reversed(about) if len(unconfirmed(one)) < 2), None)",
        T_RULE + "one_party_alone_maps_nothing",
    ),
    Defect(
        "no-answer-mapped-by-itself",
        "services/dispositions.py",
        "if proposal.disposition not in MEANINGS or not is_answer(proposal.response.considered):",
        "if proposal.disposition not in MEANINGS:",
        T_RULE + "what_is_no_answer_never_stands_for_one",
    ),
    Defect(
        "first-of-several-codes-taken",
        "services/dispositions.py",
        "return fitting[0] if len(fitting) == 1 else None",
        "return fitting[0] if fitting else None",
        T_RULE + "several_that_fit_are_told_apart_by_the_stamp_or_not_at_all",
    ),
    Defect(
        "code-by-class-alone",
        "services/dispositions.py",
        "return plain(option.name) in names or all(part in names for part in said)",
        "return bool(names) or bool(said)",
        T_RULE + "a_response_maps_by_itself_only_when_name_and_class_agree",
    ),
    Defect(
        "not-reviewed-mapped-by-itself",
        "services/dispositions.py",
        "if meaning is None or not meaning.considered or plain(option.considered) != "
        "meaning.considered:",
        "if meaning is None or (meaning.considered and plain(option.considered) != "
        "meaning.considered):",
        T_RULE + "a_response_maps_by_itself_only_when_name_and_class_agree",
    ),
    Defect(
        "suspended-code-still-used",
        "services/dispositions.py",
        "response=None if became else response,",
        "response=response,",
        T_RULE + "a_changed_response_suspends_only_the_rows_that_are_about_it",
    ),
)
