mock_provider "aws" {
  alias = "east"
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
}

mock_provider "aws" {
  alias = "west"
  mock_data "aws_region" {
    defaults = { name = "us-west-2" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
}

variables {
  environment = "test"
  domain      = { name = "bank.example.org", zone_id = "Z0123456789ABCDEFGHIJ" }
  networks = {
    east = { cidr = "10.20.0.0/16", zones = { us-east-1a = 0, us-east-1b = 1 } }
    west = { cidr = "10.30.0.0/16", zones = { us-west-2a = 0, us-west-2b = 1 } }
  }
  bank           = { name = "Example Bank", timezone = "America/New_York" }
  emails         = ["operators@example.org"]
  owner_password = "not a real one, and never in a state"
  release = {
    commit = "0123456789abcdef0123456789abcdef01234567"
    sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}

run "both_regions_are_deployed_to" {
  command = plan
  assert {
    condition     = keys(output.deployment.regions) == ["us-east-1", "us-west-2"] && output.deployment.regions["us-west-2"].url == "https://us-west-2.bank.example.org"
    error_message = "Each region has a load balancer of its own name."
  }
}

run "routes_lead_both_ways_from_every_subnet_that_needs_them" {
  command = plan
  assert {
    condition     = keys(aws_route.east_to_west) == ["database", "us-east-1a", "us-east-1b"] && keys(aws_route.west_to_east) == ["database", "us-west-2a", "us-west-2b"]
    error_message = "Servers of each zone, and the databases' answers, find the other region."
  }
  assert {
    condition     = alltrue([for route in aws_route.east_to_west : route.destination_cidr_block == "10.30.0.0/16"]) && alltrue([for route in aws_route.west_to_east : route.destination_cidr_block == "10.20.0.0/16"])
    error_message = "Each way leads to the other region's addresses."
  }
}

run "what_one_region_encrypts_the_other_reads" {
  command = plan
  assert {
    condition     = keys(aws_kms_replica_key.shared) == ["secrets", "storage"] && alltrue([for key in aws_kms_key.shared : key.multi_region && key.enable_key_rotation])
    error_message = "Keys of the storage and of the secrets are in both regions, and rotate."
  }
}

run "every_secret_is_in_both_regions" {
  command = plan
  assert {
    condition     = keys(aws_secretsmanager_secret.bank) == ["keys", "login", "owner"] && alltrue([for secret in aws_secretsmanager_secret.bank : one(secret.replica).region == "us-west-2"])
    error_message = "A region that has to take over needs the logins and keys."
  }
}

run "the_owners_password_is_never_in_the_state" {
  command = plan
  assert {
    condition     = aws_secretsmanager_secret_version.owner.secret_string == null && aws_secretsmanager_secret_version.owner.secret_string_wo_version == 2
    error_message = "The password is handed on by a write-only argument."
  }
}

run "another_primary_is_told_the_password_anew" {
  command = plan
  variables { primary = "us-west-2" }
  assert {
    condition     = output.deployment.primary == "us-west-2" && aws_secretsmanager_secret_version.owner.secret_string_wo_version == 3
    error_message = "The new primary gets a password at the apply that makes it one, and the secret must say the same."
  }
}

run "what_was_applied_can_be_planned_again_with_the_same_images" {
  command = plan
  variables { images = { us-west-2 = "ami-0fedcba9876543210" } }
  assert {
    condition     = output.deployment.images == { us-east-1 = "ami-0123456789abcdef0", us-west-2 = "ami-0fedcba9876543210" }
    error_message = "Without the images that were applied, each new one of Amazon's looks like drift."
  }
}

run "refuses_two_regions_with_the_same_addresses" {
  command = plan
  variables {
    networks = {
      east = { cidr = "10.20.0.0/16", zones = { us-east-1a = 0, us-east-1b = 1 } }
      west = { cidr = "10.20.0.0/16", zones = { us-west-2a = 0, us-west-2b = 1 } }
    }
  }
  expect_failures = [var.networks]
}

run "refuses_a_zone_of_another_region" {
  command = plan
  variables {
    networks = {
      east = { cidr = "10.20.0.0/16", zones = { us-east-1a = 0, us-west-2b = 1 } }
      west = { cidr = "10.30.0.0/16", zones = { us-west-2a = 0, us-west-2b = 1 } }
    }
  }
  expect_failures = [var.networks]
}

run "refuses_a_primary_in_a_third_region" {
  command = plan
  variables { primary = "eu-west-1" }
  expect_failures = [var.primary]
}
