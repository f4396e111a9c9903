mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
}

variables {
  name            = "bank-test-use1"
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/0f0f0f0f-0000-4000-8000-000000000000"
  log_kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/0f0f0f0f-0000-4000-8000-000000000000"
  network = {
    vpc_id            = "vpc-0123456789abcdef0"
    public_subnets    = { us-east-1a = "subnet-0aaaaaaaaaaaaaaaa", us-east-1b = "subnet-0bbbbbbbbbbbbbbbb" }
    security_group_id = "sg-0123456789abcdef0"
  }
}

run "plain_http_is_only_redirected" {
  command = plan
  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "redirect" && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "Port 80 answers nothing but where 443 is."
  }
}

run "the_load_balancer_closes_idle_connections_before_the_application_does" {
  command = plan
  assert {
    condition     = aws_lb.bank.idle_timeout == 60 && aws_lb.bank.idle_timeout < var.app.keep_alive_seconds
    error_message = "The idle timeout must stay under gunicorn's keep-alive of 75 seconds."
  }
}

run "a_database_that_is_away_takes_no_server_out" {
  command = plan
  assert {
    condition     = aws_lb_target_group.app.health_check[0].path == "/healthz" && aws_lb_target_group.app.deregistration_delay == "30"
    error_message = "Health is /healthz, and draining takes 30 seconds as gunicorn's graceful timeout does."
  }
}

run "what_is_logged_is_private_and_kept_a_year" {
  command = plan
  assert {
    condition     = aws_lb.bank.access_logs[0].enabled && aws_s3_bucket_public_access_block.logs.restrict_public_buckets && aws_s3_bucket_lifecycle_configuration.logs.rule[0].expiration[0].days == 365
    error_message = "Access logs are on, private and kept for a year."
  }
}

run "the_firewall_counts_and_knows_bad_inputs" {
  command = plan
  assert {
    condition     = toset([for rule in aws_wafv2_web_acl.bank.rule : rule.name]) == toset(["too-many-requests", "AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesSQLiRuleSet"])
    error_message = "A rule of the firewall is missing."
  }
}

run "a_password_is_refused_for_nothing_that_is_in_it" {
  command = plan
  assert {
    condition = jsonencode({
      for rule in aws_wafv2_web_acl.bank.rule : rule.name => sort([
        for override in rule.statement[0].managed_rule_group_statement[0].rule_action_override : override.name if length(override.action_to_use[0].count) == 1
      ]) if rule.name != "too-many-requests"
      }) == jsonencode({
      AWSManagedRulesAmazonIpReputationList = []
      AWSManagedRulesCommonRuleSet          = ["CrossSiteScripting_BODY", "SizeRestrictions_BODY"]
      AWSManagedRulesKnownBadInputsRuleSet  = []
      AWSManagedRulesSQLiRuleSet            = ["SQLiExtendedPatterns_BODY", "SQLi_BODY"]
    })
    error_message = "What customers type into forms is counted and not refused; everything else is refused."
  }
}

run "the_firewalls_log_quotes_nothing_that_customers_typed" {
  command = plan
  assert {
    condition = toset(flatten([
      for one in aws_wafv2_web_acl_logging_configuration.bank.redacted_fields : [for header in one.single_header : header.name]
    ])) == toset(["authorization", "cookie"])
    error_message = "Sessions and tokens must not stand in the firewall's log."
  }
  assert {
    condition     = { for one in aws_wafv2_web_acl.bank.data_protection_config[0].data_protection : one.field[0].field_type => one.action } == { BODY = "SUBSTITUTION", QUERY_STRING = "SUBSTITUTION" }
    error_message = "Bodies and queries must be replaced in what the firewall logs of its findings."
  }
}

run "refuses_an_idle_timeout_longer_than_the_applications" {
  command = plan
  variables { idle_timeout_seconds = 120 }
  expect_failures = [var.idle_timeout_seconds]
}

run "refuses_one_zone" {
  command = plan
  variables {
    network = {
      vpc_id            = "vpc-0123456789abcdef0"
      public_subnets    = { us-east-1a = "subnet-0aaaaaaaaaaaaaaaa" }
      security_group_id = "sg-0123456789abcdef0"
    }
  }
  expect_failures = [var.network]
}
