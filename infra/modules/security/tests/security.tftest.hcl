mock_provider "aws" {}

variables {
  name               = "bank-test-us-east-1"
  vpc_id             = "vpc-0123456789abcdef0"
  ports              = { database = 5432 }
  peer_private_cidrs = { us-west-2a = "10.30.16.0/20", us-west-2b = "10.30.32.0/20" }
}

run "the_world_reaches_the_load_balancer_alone_on_80_and_443" {
  command = plan
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.world : rule.from_port]) == toset([80, 443])
    error_message = "Only 80 and 443 are open to the world."
  }
}

run "the_database_is_open_to_no_range_but_the_other_regions_servers" {
  command = plan
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.database_from_app.cidr_ipv4 == null &&
      toset([for rule in aws_vpc_security_group_ingress_rule.database_from_peer : rule.cidr_ipv4]) == toset(["10.30.16.0/20", "10.30.32.0/20"])
    )
    error_message = "The database lets in servers, by their group here and by their subnets there."
  }
}

run "the_port_follows_the_engine" {
  command = plan
  variables { ports = { database = 3306 } }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.database_from_app.from_port == 3306
    error_message = "MySQL listens on 3306."
  }
}

run "refuses_a_port_of_no_engine" {
  command = plan
  variables { ports = { database = 22 } }
  expect_failures = [var.ports]
}

run "refuses_the_world_as_the_other_region" {
  command = plan
  variables { peer_private_cidrs = { world = "0.0.0.0/0" } }
  expect_failures = [var.peer_private_cidrs]
}
