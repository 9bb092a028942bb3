"""The forty faults, and the tests that inject each: every one is there, on both databases where a database has a part in it."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent.parent
FORTY: dict[int, tuple[str, ...]] = {
    1: ("ledger/test_under_fire.py::test_a_worker_killed_anywhere_doubles_and_loses_nobody", "ledger/test_under_fire.py::test_every_failpoint_is_passed_by_one_of_these_tests"),
    2: ("faults/test_the_ledger.py::test_kills_at_random_are_resolved_by_what_comes_back", "faults/test_chaos.py::test_whatever_happens_at_once_nobody_gets_it_twice_and_nobody_gets_lost"),
    3: ("faults/test_the_ledger.py::test_eight_workers_that_begin_at_once_send_each_batch_once",),
    4: ("ledger/test_under_fire.py::test_a_frozen_worker_that_wakes_up_late_sends_nothing_twice",),
    5: ("ledger/test_under_fire.py::test_a_lost_or_broken_answer_is_unknown_and_never_tried_again", "inbound/test_feedback.py::test_what_comes_back_of_one_message_resolves_the_doubt_about_its_whole_request"),
    6: ("faults/test_the_ledger.py::test_server_errors_are_doubts_whether_it_took_them_or_not",),
    7: ("faults/test_the_ledger.py::test_while_a_provider_wants_to_be_left_alone_nobody_calls_it",),
    8: ("faults/test_the_ledger.py::test_a_provider_that_hangs_leaves_doubts_and_holds_up_nobody_else", "faults/test_the_ledger.py::test_one_channel_never_has_the_last_lane"),
    9: ("faults/test_the_ledger.py::test_a_refusal_that_names_nobody_is_halved_until_it_does", "ledger/test_under_fire.py::test_one_bad_address_in_a_thousand_fails_alone", "channels/test_smtp.py::test_each_address_is_refused_or_deferred_on_its_own"),
    10: ("inbound/test_feedback.py::test_every_permutation_and_repetition_has_one_end",),
    11: ("web/test_webhooks.py::test_fourteen_forgeries_change_no_row", "faults/test_the_doors.py::test_a_flood_of_forgeries_keeps_nobody_waiting_and_nothing"),
    12: ("web/test_webhooks.py::test_whoever_is_answered_is_on_disk_whenever_the_receiver_dies",),
    13: ("faults/test_the_ledger.py::test_a_database_that_goes_away_while_we_send_loses_and_doubles_nobody", "faults/test_the_doors.py::test_while_the_database_is_away_nothing_is_answered_that_is_not_kept_and_nobody_hangs"),
    14: ("faults/test_the_ledger.py::test_a_database_that_is_busy_now_and_then_is_asked_again",),
    15: ("flows/test_flows.py::test_prefect_gone_in_the_middle_of_a_run_doubles_and_loses_nobody", "cli/test_cli.py::test_a_campaign_goes_out_without_any_prefect_server_and_says_so_in_json"),
    16: ("faults/test_the_ledger.py::test_what_a_killed_worker_held_is_free_within_a_minute_whatever_prefect_believes",),
    17: ("outbox/test_guards.py::test_asking_twice_for_one_occurrence_makes_one_launch",),
    18: ("faults/test_the_ledger.py::test_a_full_disk_stops_the_sending_and_room_lets_it_go_on", "web/test_webhooks.py::test_a_full_disk_is_a_503_and_what_was_acknowledged_stays"),
    19: ("faults/test_the_ledger.py::test_a_clock_that_jumps_while_a_call_is_on_its_way_sends_nothing_twice", "journeys/test_times.py"),
    20: ("faults/test_the_ledger.py::test_a_no_in_the_middle_of_a_campaign_holds_from_its_commit_on",),
    21: ("faults/test_the_ledger.py::test_an_address_that_changes_meanwhile_is_written_to_once", "privacy/test_erasure.py"),
    22: ("outbox/test_guards.py",),
    23: ("faults/test_the_ledger.py::test_two_hundred_commands_at_random_double_nobody_and_a_recall_stops_what_is_not_on_its_way",),
    24: ("privacy/test_erasure.py", "flows/test_flows.py::test_prefect_knows_nobody"),
    25: ("privacy/test_erasure.py",),
    26: ("faults/test_the_doors.py::test_what_is_let_go_is_audited_by_number_only", "privacy/test_erasure.py"),
    27: ("faults/test_the_ledger.py::test_ten_thousand_go_out_in_little_memory_each_step_audited",),
    28: ("faults/test_the_ledger.py::test_whatever_a_contacts_fields_hold_it_is_that_contacts_alone",),
    29: ("faults/test_the_doors.py::test_an_import_that_is_killed_and_run_again_ends_as_if_it_never_was", "faults/test_the_doors.py::test_a_file_of_torn_rows_says_of_each_what_became_of_it"),
    30: ("faults/test_the_doors.py::test_a_list_of_a_hundred_thousand_and_a_body_that_lies_of_its_length_harm_nobody", "web/test_webhooks.py"),
    31: ("web/test_server.py",),
    32: ("faults/test_the_doors.py::test_taps_with_tokens_of_nobody_are_no_answers", "web/test_signup.py"),
    33: ("faults/test_the_doors.py::test_a_scanner_that_follows_every_link_of_every_letter_says_no_for_nobody",),
    34: ("outbox/test_networks.py::test_a_lost_answer_ends_as_one_post", "outbox/test_networks.py::test_mastodon_forgets_its_keys_within_the_hour_and_the_post_is_found_all_the_same"),
    35: ("faults/test_the_doors.py::test_a_letter_of_thirty_megabytes_is_kept_or_refused_and_the_next_one_is_heard", "operations/test_polling.py"),
    36: ("inbound/test_pipeline.py",),
    37: ("faults/test_the_ledger.py::test_old_code_ends_its_work_while_the_tables_change_and_new_code_waits_for_them",),
    38: ("faults/test_the_ledger.py::test_sigterm_lets_what_is_in_hand_land_and_takes_nothing_new",),
    39: ("outbox/test_restored.py::test_what_was_sent_after_the_backup_is_not_sent_again",),
    40: ("store/test_audit_chain.py",),
}  # fmt: skip


def test_each_of_the_forty_faults_has_its_tests() -> None:
    assert sorted(FORTY) == list(range(1, 41))
    missing = [name for names in FORTY.values() for name in names if not _there(name)]
    assert not missing


def _there(name: str) -> bool:
    file, _, test = name.partition("::")
    tree = ast.parse((TESTS / file).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return test in functions if test else bool(functions)
