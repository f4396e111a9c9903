mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
}

variables {
  name      = "bank-test-us-east-1"
  cidr      = "10.20.0.0/16"
  zones     = { us-east-1a = 0, us-east-1b = 1 }
  flow_logs = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/0f0f0f0f-0000-4000-8000-000000000000" }
}

run "every_tier_has_a_subnet_in_each_zone" {
  command = plan
  assert {
    condition = alltrue([
      for tier in [aws_subnet.public, aws_subnet.private, aws_subnet.database] :
      toset(keys(tier)) == toset(["us-east-1a", "us-east-1b"])
    ])
    error_message = "A tier lacks a zone."
  }
  assert {
    condition     = aws_subnet.private["us-east-1b"].cidr_block == "10.20.32.0/20" && aws_subnet.database["us-east-1a"].cidr_block == "10.20.8.0/24"
    error_message = "The address plan moved."
  }
}

run "a_third_zone_moves_no_subnet" {
  command = plan
  variables { zones = { us-east-1a = 0, us-east-1b = 1, us-east-1c = 2 } }
  assert {
    condition     = aws_subnet.private["us-east-1a"].cidr_block == "10.20.16.0/20" && aws_subnet.private["us-east-1b"].cidr_block == "10.20.32.0/20"
    error_message = "Adding a zone changed another zone's addresses."
  }
}

run "each_zone_has_its_own_way_out" {
  command = plan
  assert {
    condition     = length(aws_nat_gateway.bank) == 2
    error_message = "With nat = per_zone there is one NAT in each zone."
  }
}

run "a_single_nat_serves_all_zones" {
  command = plan
  variables { nat = "single" }
  assert {
    condition     = keys(aws_nat_gateway.bank) == ["us-east-1a"] && length(aws_route.out) == 2
    error_message = "One NAT in the first zone, and a route to it from each."
  }
}

run "the_default_group_lets_nothing_through" {
  command = plan
  assert {
    condition     = length(aws_default_security_group.closed.ingress) == 0 && length(aws_default_security_group.closed.egress) == 0
    error_message = "The default security group must stay without rules."
  }
}

run "servers_get_no_public_address" {
  command = plan
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "Nothing gets a public address by itself."
  }
}

run "all_traffic_is_logged" {
  command = plan
  assert {
    condition     = aws_flow_log.bank.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.retention_in_days == 90
    error_message = "Flow logs must hold all traffic for 90 days."
  }
}

run "refuses_one_zone" {
  command = plan
  variables { zones = { us-east-1a = 0 } }
  expect_failures = [var.zones]
}

run "refuses_two_zones_in_one_place" {
  command = plan
  variables { zones = { us-east-1a = 0, us-east-1b = 0 } }
  expect_failures = [var.zones]
}

run "refuses_public_addresses" {
  command = plan
  variables { cidr = "12.0.0.0/16" }
  expect_failures = [var.cidr]
}

run "its_role_is_bounded" {
  command = plan
  variables { permissions_boundary_arn = "arn:aws:iam::123456789012:policy/bank-test-boundary" }
  assert {
    condition     = aws_iam_role.flow.permissions_boundary == var.permissions_boundary_arn
    error_message = "A deployment may make no role without the boundary."
  }
}
