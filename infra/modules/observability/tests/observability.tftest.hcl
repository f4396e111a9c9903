mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
  mock_resource "aws_sns_topic" {
    override_during = plan
    defaults        = { arn = "arn:aws:sns:us-east-1:123456789012:bank-test-us-east-1-alarms" }
  }
}

variables {
  name          = "bank-test-us-east-1"
  role          = "primary"
  load_balancer = { arn_suffix = "app/bank-test-us-east-1/0123456789abcdef" }
  target_group  = { arn_suffix = "targetgroup/bank-test-us-east-1-app/0123456789abcdef" }
  group         = "bank-test-us-east-1"
  zones         = ["us-east-1a", "us-east-1b"]
  database      = { identifier = "bank-test-us-east-1", max_connections = 400, storage_gib = 100, engine = "postgres" }
  keys          = { logs_arn = "arn:aws:kms:us-east-1:123456789012:key/0f0f0f0f-0000-4000-8000-000000000000" }
  emails        = ["operators@bank.example.org"]
}

run "everything_that_stops_customers_has_an_alarm" {
  command = plan
  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.bank)) == toset([
      "load-balancer-errors", "server-errors", "slow-answers", "servers-unhealthy", "group-too-small", "server-disk",
      "zone-without-server-us-east-1a", "zone-without-server-us-east-1b",
      "ledger-broken", "ledger-not-verified", "firewall-surge",
      "database-away", "database-cpu", "database-storage", "database-memory", "database-connections", "database-disk-slow", "database-transaction-ids",
    ])
    error_message = "An alarm of a primary's region is missing, or one too many."
  }
}

run "only_a_replica_can_lag" {
  command = plan
  variables {
    role = "replica"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.bank["replica-lag"].threshold == 60 && aws_cloudwatch_metric_alarm.bank["replica-lag"].treat_missing_data == "breaching"
    error_message = "A replica's lag is watched, and a replica that says nothing is taken for lost."
  }
}

run "mysql_has_no_transaction_ids_to_run_out_of" {
  command = plan
  variables {
    database = { identifier = "bank-test-us-east-1", max_connections = 400, storage_gib = 100, engine = "mysql" }
  }
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.bank), "database-transaction-ids")
    error_message = "An alarm without a metric would never ring."
  }
}

run "every_alarm_is_told_when_it_rings_and_when_it_is_over" {
  command = plan
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.bank), [aws_cloudwatch_composite_alarm.customers_cannot_bank]) :
      toset(alarm.alarm_actions) == toset([aws_sns_topic.alarms.arn]) && toset(alarm.ok_actions) == toset([aws_sns_topic.alarms.arn])
    ])
    error_message = "An alarm that tells nobody is none."
  }
  assert {
    condition     = alltrue([for subscription in aws_sns_topic_subscription.emails : subscription.topic_arn == aws_sns_topic.alarms.arn && subscription.endpoint == "operators@bank.example.org"])
    error_message = "The operators' address hears the topic."
  }
}

run "a_verification_that_nobody_reports_rings" {
  command = plan
  assert {
    condition     = aws_cloudwatch_metric_alarm.bank["ledger-not-verified"].treat_missing_data == "breaching"
    error_message = "Silence about the ledger is bad news."
  }
}

run "a_broken_ledger_stays_broken_while_no_server_reports" {
  command = plan
  assert {
    condition     = aws_cloudwatch_metric_alarm.bank["ledger-broken"].treat_missing_data == "ignore" && aws_cloudwatch_metric_alarm.bank["ledger-broken"].threshold == 1 && aws_cloudwatch_metric_alarm.bank["ledger-broken"].datapoints_to_alarm == 1
    error_message = "One finding, once, rings until a server says that there is none."
  }
}

run "the_topic_has_a_key_of_ours_since_alarms_may_not_use_that_of_aws" {
  command = plan
  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == var.keys.logs_arn
    error_message = "The topic must be encrypted by a key that alarms may use."
  }
}

run "only_alarms_of_this_account_speak_and_only_encrypted" {
  command = plan
  assert {
    condition = [for statement in jsondecode(aws_sns_topic_policy.alarms.policy).Statement : statement if statement.Effect == "Allow"] == [{
      Sid       = "AlarmsOfThisAccountSpeak"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = "arn:aws:sns:us-east-1:123456789012:bank-test-us-east-1-alarms"
      Condition = { ArnLike = { "aws:SourceArn" = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:*" } }
    }]
    error_message = "Nobody else publishes what operators believe."
  }
}

run "customers_cannot_bank_when_requests_fail_or_no_zone_has_a_server" {
  command = plan
  assert {
    condition     = aws_cloudwatch_composite_alarm.customers_cannot_bank.alarm_rule == "ALARM(\"bank-test-us-east-1-load-balancer-errors\") OR ALARM(\"bank-test-us-east-1-server-errors\") OR (ALARM(\"bank-test-us-east-1-zone-without-server-us-east-1a\") AND ALARM(\"bank-test-us-east-1-zone-without-server-us-east-1b\"))"
    error_message = "One empty zone is carried by the other; all of them, or errors, are what customers notice."
  }
}

run "a_release_is_taken_back_for_errors_slowness_and_servers_that_do_not_get_ready" {
  command = plan
  assert {
    condition     = toset(output.rollback_alarms) == toset(["bank-test-us-east-1-server-errors", "bank-test-us-east-1-servers-unhealthy", "bank-test-us-east-1-slow-answers"])
    error_message = "The alarms that take a release back."
  }
  assert {
    condition     = length(setsubtract(output.rollback_alarms, [for alarm in aws_cloudwatch_metric_alarm.bank : alarm.alarm_name])) == 0
    error_message = "A roll-out cannot watch an alarm that is not there."
  }
}

run "a_server_that_the_group_replaces_by_itself_takes_no_release_back" {
  command = plan
  assert {
    condition     = aws_cloudwatch_metric_alarm.bank["servers-unhealthy"].datapoints_to_alarm == 6 && aws_cloudwatch_metric_alarm.bank["servers-unhealthy"].evaluation_periods == 6 && aws_cloudwatch_metric_alarm.bank["servers-unhealthy"].treat_missing_data == "notBreaching"
    error_message = "Six minutes without a break: longer than a replacement takes."
  }
}

run "the_log_is_encrypted_and_kept_a_year" {
  command = plan
  assert {
    condition     = aws_cloudwatch_log_group.app.name == "/bank-test-us-east-1/app" && aws_cloudwatch_log_group.app.retention_in_days == 365 && aws_cloudwatch_log_group.app.kms_key_id == var.keys.logs_arn
    error_message = "The application's log is where servers send it, encrypted, for a year."
  }
}

run "an_alarm_says_what_to_do_and_where_to_read_more" {
  command = plan
  variables {
    runbook = "https://git.example.org/bank/docs/operating/alarms.md"
  }
  assert {
    condition     = alltrue([for key, alarm in aws_cloudwatch_metric_alarm.bank : can(regex("^(Now|Today): [A-Z0-9].+\\. https://git\\.example\\.org/bank/docs/operating/alarms\\.md#[a-z-]+$", alarm.alarm_description))])
    error_message = "Each description: how soon, what to do, the heading."
  }
}

run "the_dashboard_shows_the_replicas_lag" {
  command = plan
  variables {
    role = "replica"
  }
  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.bank.dashboard_body, "ReplicaLag")
    error_message = "A replica's region shows how far it is behind."
  }
}

run "refuses_an_alarm_nobody_hears" {
  command = plan
  variables {
    emails = []
  }
  expect_failures = [var.emails]
}

run "refuses_an_address_that_is_none" {
  command = plan
  variables {
    emails = ["operators"]
  }
  expect_failures = [var.emails]
}

run "refuses_to_be_quiet_while_half_the_requests_fail" {
  command = plan
  variables {
    thresholds = { error_percent = 60 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_to_ring_before_the_group_can_replace_a_server" {
  command = plan
  variables {
    thresholds = { unhealthy_minutes = 1 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_to_ring_before_storage_could_grow_by_itself" {
  command = plan
  variables {
    thresholds = { storage_free_percent = 15 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_to_miss_a_second_night_without_verification" {
  command = plan
  variables {
    thresholds = { verified_hours = 72 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_to_notice_slowness_after_gunicorn_gave_up" {
  command = plan
  variables {
    thresholds = { latency_seconds = 60 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_full_connections_as_a_threshold" {
  command = plan
  variables {
    thresholds = { connections_percent = 100 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_a_lag_of_hours" {
  command = plan
  variables {
    thresholds = { replica_lag_seconds = 7200 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_to_ring_for_the_internets_daily_probing" {
  command = plan
  variables {
    thresholds = { blocked_per_5_minutes = 1 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_memory_that_is_gone_already" {
  command = plan
  variables {
    thresholds = { memory_free_mib = 8 }
  }
  expect_failures = [var.thresholds]
}

run "refuses_one_zone" {
  command = plan
  variables {
    zones = ["us-east-1a"]
  }
  expect_failures = [var.zones]
}

run "refuses_a_database_smaller_than_any" {
  command = plan
  variables {
    database = { identifier = "bank-test-us-east-1", max_connections = 0, storage_gib = 100 }
  }
  expect_failures = [var.database]
}

run "refuses_a_retention_that_cloudwatch_does_not_know" {
  command = plan
  variables {
    log_retention_days = 100
  }
  expect_failures = [var.log_retention_days]
}

run "refuses_a_third_role" {
  command = plan
  variables {
    role = "standby"
  }
  expect_failures = [var.role]
}
