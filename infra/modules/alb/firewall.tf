locals {
  # AWS's own rules, in the order in which they are asked.
  managed_rules = {
    AWSManagedRulesAmazonIpReputationList = 10
    AWSManagedRulesCommonRuleSet          = 20
    AWSManagedRulesKnownBadInputsRuleSet  = 30
    AWSManagedRulesSQLiRuleSet            = 40
  }
  # These only count. They would refuse passwords and letters for what is in them, or for more than 8 KiB of it; the bank
  # itself refuses what is too long, writes text into pages as text, and gives it to the database apart from SQL.
  only_counted = {
    AWSManagedRulesCommonRuleSet = ["CrossSiteScripting_BODY", "SizeRestrictions_BODY"]
    AWSManagedRulesSQLiRuleSet   = ["SQLi_BODY", "SQLiExtendedPatterns_BODY"]
  }
}

resource "aws_wafv2_web_acl" "bank" {
  name  = var.name
  scope = "REGIONAL"

  default_action {
    allow {}
  }

  rule {
    name     = "too-many-requests"
    priority = 1
    action {
      block {}
    }
    statement {
      rate_based_statement {
        limit              = var.requests_per_5_minutes
        aggregate_key_type = "IP"
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "too-many-requests"
      sampled_requests_enabled   = false
    }
  }

  dynamic "rule" {
    for_each = local.managed_rules
    content {
      name     = rule.key
      priority = rule.value
      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          name        = rule.key
          vendor_name = "AWS"

          dynamic "rule_action_override" {
            for_each = lookup(local.only_counted, rule.key, [])
            content {
              name = rule_action_override.value
              action_to_use {
                count {}
              }
            }
          }
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.key
        sampled_requests_enabled   = false
      }
    }
  }

  # A rule's log line quotes what it found: a part of somebody's password, perhaps.
  data_protection_config {
    dynamic "data_protection" {
      for_each = ["BODY", "QUERY_STRING"]
      content {
        action = "SUBSTITUTION"
        field {
          field_type = data_protection.value
        }
      }
    }
  }

  # Samples would show what customers typed.
  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "bank" {
  resource_arn = aws_lb.bank.arn
  web_acl_arn  = aws_wafv2_web_acl.bank.arn
}

# The firewall writes only to groups whose names begin like this.
resource "aws_cloudwatch_log_group" "firewall" {
  name              = "aws-waf-logs-${var.name}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.log_kms_key_arn
}

resource "aws_wafv2_web_acl_logging_configuration" "bank" {
  resource_arn            = aws_wafv2_web_acl.bank.arn
  log_destination_configs = [aws_cloudwatch_log_group.firewall.arn]

  redacted_fields {
    single_header {
      name = "cookie"
    }
  }
  redacted_fields {
    single_header {
      name = "authorization"
    }
  }
  redacted_fields {
    query_string {}
  }
}
