"""Defects at the doors: the gateway, Kafka, and who may come in."""

from tests.mutants.defect import Defect

LANES = "services/kafka/lanes.py"
GATEWAY = "webhook_gateway/app.py"
T_HTTP = "tests/gateway/test_gateway_http.py::test_"
T_LANES = "tests/services_kafka/test_lanes.py::test_"
T_TELLS = "tests/test_what_gives_nothing_away.py::test_"
T_SEAL = "tests/token_service/test_sealing.py::test_"
T_CONSENT = "tests/token_service/test_consent.py::test_"
T_REFRESH = "tests/token_service/test_refreshing.py::test_"
T_CRASHES = "tests/token_service/test_refreshing_crashes.py::test_"

DEFECTS = (
    Defect(
        "secrets-compared-with-equals",
        "services/hook_secrets.py",
        "proven |= hmac.compare_digest(_secret(key.secret, message), got)",
        "proven |= _secret(key.secret, message) == got",
        "tests/gateway/test_hook_secrets.py::test_secrets_are_compared_in_constant_time",
    ),
    Defect(
        "any-hook-secret-accepted",
        GATEWAY,
        "if not is_hook_secret(self._hook_keys, sent, project_id, generation):",
        "if not sent:",
        T_HTTP + "a_wrong_secret_is_refused",
    ),
    Defect(
        "answers-before-kafka",
        GATEWAY,
        "            await self._publishing.notice(reading, source, traceparent)\n",
        "            import asyncio\n"
        "            self.later = asyncio.ensure_future("
        "self._publishing.notice(reading, source, traceparent))\n",
        T_HTTP + "while_kafka_is_away_the_sender_is_told_to_try_again",
    ),
    Defect(
        "unreadable-body-refused",
        GATEWAY,
        'await answer(send, 204)\n        failpoints.reach("g3")',
        'await answer(send, 400 if outcome == "dead_letter" else 204)\n'
        '        failpoints.reach("g3")',
        T_HTTP + "an_authentic_body_that_cannot_be_read_is_buried_as_it_was",
    ),
    Defect(
        "over-long-body-accepted",
        "webhook_gateway/requests.py",
        "        if len(body) > MAX_BODY_BYTES:\n            return body[:MAX_BODY_BYTES], False\n",
        "",
        T_HTTP + "an_endless_chunked_body_is_buried_after_256_kib",
    ),
    Defect(
        "largest-body-buried",
        "webhook_gateway/requests.py",
        "if len(body) > MAX_BODY_BYTES:",
        "if len(body) >= MAX_BODY_BYTES:",
        T_HTTP + "a_body_of_exactly_256_kib_is_read",
    ),
    Defect(
        "part3-signature-not-checked",
        "webhook_gateway/part3.py",
        "authentic |= hmac.compare_digest(expected, signature)",
        "authentic |= len(expected) == len(signature)",
        T_HTTP + "an_event_that_part3_did_not_sign_so_is_refused",
    ),
    Defect(
        "part3-signature-compared-with-equals",
        "webhook_gateway/part3.py",
        "authentic |= hmac.compare_digest(expected, signature)",
        "authentic |= expected == signature",
        T_TELLS + "a_secret_is_compared_in_constant_time",
    ),
    Defect(
        "form-token-compared-with-equals",
        "token_service/public/csrf.py",
        'if not hmac.compare_digest(expected.encode(), sent.encode("utf-8", "replace")):',
        "if expected != sent:",
        T_TELLS + "a_secret_is_compared_in_constant_time",
    ),
    Defect(
        "waiting-caller-told-too-soon",
        "services/kafka/batches.py",
        "        self.records.append(record)\n        return True",
        "        self.records.append(record)\n        record[0].set_result(None)\n"
        "        return True",
        "tests/services_kafka/test_batches.py::test_"
        "records_of_one_turn_travel_together_and_each_caller_is_told",
    ),
    Defect(
        "not-drained-on-sigterm",
        "services/http_server.py",
        "timeout_graceful_shutdown=int(site.limits.graceful_s),",
        "timeout_graceful_shutdown=0,",
        "tests/http_server/test_http_serving.py::test_a_request_under_way_is_finished_before_the_end",
    ),
    Defect(
        "seal-opens-in-any-column",
        "token_service/grants/seal.py",
        "parts = [part.encode() for part in (user_id, column, key_id)]",
        'parts = [part.encode() for part in (user_id, "", key_id)]',
        T_SEAL + "a_sealed_value_that_was_moved_does_not_open",
    ),
    Defect(
        "one-key-for-all-grants",
        "token_service/grants/seal.py",
        'about = b"grants/" + user_id.encode()',
        'about = b"grants/"',
        T_SEAL + "d11_one_persons_key_opens_nobody_elses_values",
    ),
    Defect(
        "state-not-bound-to-the-session",
        "token_service/grants/consent.py",
        "WHERE state_hash = $1 AND session_hash = $2 AND user_id = $3 AND issuer = $4\n"
        "  AND used_at",
        "WHERE state_hash = $1 AND $2::bytea IS NOT NULL AND user_id = $3 AND issuer = $4\n"
        "  AND used_at",
        T_CONSENT + "a_state_of_the_same_persons_other_browser_is_refused",
    ),
    Defect(
        "state-reusable",
        "token_service/grants/consent.py",
        "  AND used_at IS NULL AND ends_at > now()\n",
        "  AND ends_at > now()\n",
        T_CONSENT + "a_code_is_sent_once_and_the_second_tab_sees_the_result",
    ),
    Defect(
        "state-without-end",
        "token_service/grants/consent.py",
        "  AND used_at IS NULL AND ends_at > now()\n",
        "  AND used_at IS NULL\n",
        T_CONSENT + "an_expired_state_is_refused",
    ),
    Defect(
        "pkce-not-sent",
        "services/procore/oauth.py",
        '"code_challenge": create_s256_code_challenge(code_verifier),',
        "",
        T_CONSENT + "what_procore_is_asked_with",
    ),
    Defect(
        "refresh-without-lease",
        "token_service/grants/store.py",
        "AND state = 'authorized' AND lease_owner IS NULL\n    AND (refresh_not_before",
        "AND state = 'authorized'\n    AND (refresh_not_before",
        T_REFRESH + "two_replicas_with_many_callers_redeem_once",
    ),
    Defect(
        "refresh-retried-by-itself",
        "token_service/grants/store.py",
        "AND (refresh_unknown_at IS NOT NULL) = $5 AND (NOT $5 OR last_try_at IS NULL)",
        "AND $5 IS NOT NULL",
        T_REFRESH + "two_lost_answers_ask_for_the_person",
    ),
    Defect(
        "unknown-refresh-taken-for-unspent",
        "token_service/grants/refresh.py",
        'await self._end(lease, "unknown", unknown=True)',
        'await self._end(lease, "unknown", unknown=False)',
        T_REFRESH + "a_lost_answer_is_never_simply_tried_again",
    ),
    Defect(
        "spool-not-written",
        "token_service/grants/spool.py",
        "        half.rename(path)\n",
        "        half.unlink()\n",
        T_CRASHES + "a_new_pair_reaches_its_row_after_a_crash_before_the_commit",
    ),
    Defect(
        "service-token-for-any-audience",
        "services/service_tokens.py",
        "    _check_audience(claims, SERVICE_AUDIENCE)\n",
        "",
        "tests/token_service/test_service_tokens.py::test_a_service_token_is_not_believed_when_it_is",
    ),
    Defect(
        "offset-committed-over-unfinished-work",
        LANES,
        "            if await self._handle_in_the_end(batch):\n",
        "            self.next_offset = batch[-1].offset + 1\n"
        "            if await self._handle_in_the_end(batch):\n",
        T_LANES + "what_is_under_way_is_not_committed",
    ),
    Defect(
        "failed-batch-passed-over",
        LANES,
        "wait_s=round(wait_s, 1))\n",
        "wait_s=round(wait_s, 1))\n                return True\n",
        T_LANES + "a_batch_that_fails_comes_again_and_is_not_committed_before",
    ),
    Defect(
        "failed-batch-committed-at-the-end",
        LANES,
        "                return False\n            pause_s",
        "                return True\n            pause_s",
        T_LANES + "what_failed_until_its_lane_was_closed_is_not_committed",
    ),
    Defect(
        "worker-not-drained-on-sigterm",
        "services/kafka/consumer.py",
        "            await self.give_up(list(self._lanes), within_s=self._how.stop_s)\n",
        "",
        "tests/services_kafka/test_stopping.py::test_"
        "a_consumer_that_is_told_to_stop_finishes_its_batch_and_commits_it",
    ),
    Defect(
        "address-of-a-call-in-the-log",
        "services/telemetry.py",
        'NOISY = ("httpx2", ',
        "NOISY = (",
        T_TELLS + "no_line_tells_the_address_that_a_client_called",
    ),
    Defect(
        "secret-in-a-log-line",
        "services/telemetry.py",
        '            event[name] = "***"\n',
        "            pass\n",
        T_TELLS + "a_field_that_is_called_a_secret_is_covered",
    ),
    Defect(
        "rebalance-not-drained",
        LANES,
        "        done, _ = await asyncio.wait([self._task], timeout=within_s)\n",
        "        done, _ = await asyncio.wait([self._task], timeout=0)\n",
        T_LANES + "a_lane_that_is_closed_finishes_its_batch",
    ),
)
