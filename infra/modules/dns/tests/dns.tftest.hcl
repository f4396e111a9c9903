mock_provider "aws" {}

variables {
  domain  = "bank.example.org"
  zone_id = "Z0123456789ABCDEFGHIJ"
  regions = {
    us-east-1 = { name = "east.elb.amazonaws.com", zone_id = "Z35SXDOTRQ7X7K" }
    us-west-2 = { name = "west.elb.amazonaws.com", zone_id = "Z1H1FL5HABSF5" }
  }
}

run "customers_are_sent_to_the_nearer_region_that_should_have_them" {
  command = plan
  assert {
    condition     = alltrue([for region, record in aws_route53_record.bank : record.latency_routing_policy[0].region == region && record.alias[0].evaluate_target_health])
    error_message = "Each region has a latency record with its own health."
  }
}

run "each_region_is_asked_at_its_own_name" {
  command = plan
  assert {
    condition = { for key, check in aws_route53_health_check.asked : key => "${check.fqdn}${check.resource_path}${check.invert_healthcheck ? " not" : ""}" } == {
      "us-east-1 serves" = "us-east-1.bank.example.org/readyz"
      "us-east-1 writes" = "us-east-1.bank.example.org/writable"
      "us-east-1 closed" = "us-east-1.bank.example.org/writable not"
      "us-west-2 serves" = "us-west-2.bank.example.org/readyz"
      "us-west-2 writes" = "us-west-2.bank.example.org/writable"
      "us-west-2 closed" = "us-west-2.bank.example.org/writable not"
    }
    error_message = "Pages, payments, and no payments: three questions to each region."
  }
}

# Two of: I serve, I take payments, the other takes none. So a region is left when it takes no payments while the other
# does, or when it is gone; and neither is left because the primary is away.
run "a_region_that_takes_no_payments_is_left_only_while_the_other_does" {
  assert {
    condition     = alltrue([for region, record in aws_route53_record.bank : record.health_check_id == aws_route53_health_check.region[region].id])
    error_message = "The vote decides."
  }
  assert {
    condition     = alltrue([for check in aws_route53_health_check.region : check.type == "CALCULATED" && check.child_health_threshold == 2])
    error_message = "Two of three."
  }
  assert {
    condition = alltrue([for region, other in { us-east-1 = "us-west-2", us-west-2 = "us-east-1" } :
      toset(aws_route53_health_check.region[region].child_healthchecks) == toset([
        aws_route53_health_check.asked["${region} serves"].id,
        aws_route53_health_check.asked["${region} writes"].id,
        aws_route53_health_check.asked["${other} closed"].id,
    ])])
    error_message = "A region has two voices, and the other one's payments have the third."
  }
}

run "alarms_are_told_of_pages_and_of_payments" {
  assert {
    condition = alltrue([for region, checks in output.health_checks :
      checks.serves == aws_route53_health_check.asked["${region} serves"].id && checks.writes == aws_route53_health_check.asked["${region} writes"].id
    ])
    error_message = "modules/watch looks at what is asked, not at the vote."
  }
}

run "a_lost_region_is_known_within_20_seconds_of_asking" {
  command = plan
  assert {
    condition     = alltrue([for check in aws_route53_health_check.asked : check.request_interval * check.failure_threshold <= 20])
    error_message = "Two failures at 10 seconds each."
  }
}

run "refuses_three_regions" {
  command = plan
  variables {
    regions = {
      us-east-1 = { name = "east.elb.amazonaws.com", zone_id = "Z35SXDOTRQ7X7K" }
      us-east-2 = { name = "middle.elb.amazonaws.com", zone_id = "Z3AADJGX6KTTL2" }
      us-west-2 = { name = "west.elb.amazonaws.com", zone_id = "Z1H1FL5HABSF5" }
    }
  }
  expect_failures = [var.regions]
}

run "refuses_a_single_region" {
  command = plan
  variables { regions = { us-east-1 = { name = "east.elb.amazonaws.com", zone_id = "Z35SXDOTRQ7X7K" } } }
  expect_failures = [var.regions]
}
