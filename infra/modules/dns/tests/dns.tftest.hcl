mock_provider "aws" {}

variables {
  domain  = "bank.example.org"
  zone_id = "Z0123456789ABCDEFGHIJ"
  regions = {
    us-east-1 = { name = "east.elb.amazonaws.com", zone_id = "Z35SXDOTRQ7X7K" }
    us-west-2 = { name = "west.elb.amazonaws.com", zone_id = "Z1H1FL5HABSF5" }
  }
}

run "customers_are_sent_to_the_nearer_region_that_serves" {
  command = plan
  assert {
    condition     = alltrue([for region, record in aws_route53_record.bank : record.latency_routing_policy[0].region == region && record.alias[0].evaluate_target_health])
    error_message = "Each region has a latency record with its own health."
  }
}

run "a_region_is_asked_whether_it_serves_and_apart_from_that_whether_it_takes_payments" {
  command = plan
  assert {
    condition = alltrue([
      for region in keys(var.regions) :
      aws_route53_health_check.serves[region].resource_path == "/readyz" && aws_route53_health_check.writes[region].resource_path == "/writable"
    ])
    error_message = "A lost primary must not take the pages away."
  }
}

run "a_lost_region_is_known_within_20_seconds_of_asking" {
  command = plan
  assert {
    condition     = alltrue([for check in aws_route53_health_check.serves : check.request_interval * check.failure_threshold <= 20])
    error_message = "Two failures at 10 seconds each."
  }
}

run "refuses_a_single_region" {
  command = plan
  variables { regions = { us-east-1 = { name = "east.elb.amazonaws.com", zone_id = "Z35SXDOTRQ7X7K" } } }
  expect_failures = [var.regions]
}
