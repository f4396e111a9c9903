mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
}

mock_provider "aws" {
  alias = "west"
  mock_data "aws_region" {
    defaults = { name = "us-west-2" }
  }
}

variables {
  name      = "bank-test"
  topic_arn = "arn:aws:sns:us-east-1:123456789012:bank-test-us-east-1-alarms"
  health_checks = {
    us-east-1 = { serves = "00000000-0000-4000-8000-00000000000a", writes = "00000000-0000-4000-8000-00000000000b" }
    us-west-2 = { serves = "00000000-0000-4000-8000-00000000000c", writes = "00000000-0000-4000-8000-00000000000d" }
  }
}

run "each_region_is_watched_for_pages_and_for_payments" {
  command = plan
  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.region : key => alarm.dimensions.HealthCheckId } == {
      us-east-1-does-not-serve    = "00000000-0000-4000-8000-00000000000a"
      us-east-1-takes-no-payments = "00000000-0000-4000-8000-00000000000b"
      us-west-2-does-not-serve    = "00000000-0000-4000-8000-00000000000c"
      us-west-2-takes-no-payments = "00000000-0000-4000-8000-00000000000d"
    }
    error_message = "Each alarm asks its own region's health check."
  }
}

run "a_health_check_that_says_nothing_rings" {
  command = plan
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.region : alarm.treat_missing_data == "breaching" && alarm.comparison_operator == "LessThanThreshold" && alarm.statistic == "Minimum"])
    error_message = "A check that is gone must not look like health."
  }
}

run "it_is_told_when_it_rings_and_when_it_is_over" {
  command = plan
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.region : toset(alarm.alarm_actions) == toset([var.topic_arn]) && toset(alarm.ok_actions) == toset([var.topic_arn])])
    error_message = "An alarm that tells nobody is none."
  }
}

run "refuses_a_region_without_these_metrics" {
  command = plan
  providers = {
    aws = aws.west
  }
  expect_failures = [data.aws_region.here]
}

run "refuses_a_topic_that_its_alarms_cannot_reach" {
  command = plan
  variables {
    topic_arn = "arn:aws:sns:us-west-2:123456789012:bank-test-us-west-2-alarms"
  }
  expect_failures = [var.topic_arn]
}

run "refuses_a_single_region" {
  command = plan
  variables {
    health_checks = { us-east-1 = { serves = "00000000-0000-4000-8000-00000000000a", writes = "00000000-0000-4000-8000-00000000000b" } }
  }
  expect_failures = [var.health_checks]
}
