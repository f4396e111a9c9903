mock_provider "aws" {
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
  environment_name       = "bank-test"
  domain                 = { name = "bank.example.org", zone_id = "Z0123456789ABCDEFGHIJ" }
  network                = { cidr = "10.30.0.0/16", zones = { us-west-2a = 0, us-west-2b = 1 } }
  peer                   = { private_cidrs = { us-east-1a = "10.20.16.0/20" }, database_cidrs = { us-east-1a = "10.20.8.0/24" } }
  role                   = "replica"
  replicate_source_arn   = "arn:aws:rds:us-east-1:123456789012:db:bank-test-us-east-1"
  primary_address        = "bank-test-us-east-1.abc.us-east-1.rds.amazonaws.com"
  owner_password         = "not a real one, and never in a state"
  owner_password_version = 2
  secrets = {
    owner       = "arn:aws:secretsmanager:us-west-2:123456789012:secret:bank-test/owner-AbCdEf"
    login       = "arn:aws:secretsmanager:us-west-2:123456789012:secret:bank-test/login-AbCdEf"
    keys        = "arn:aws:secretsmanager:us-west-2:123456789012:secret:bank-test/keys-AbCdEf"
    home_region = "us-east-1"
  }
  keys = {
    storage_arn = "arn:aws:kms:us-west-2:123456789012:key/mrk-0f0f0f0f00004000800000000000000a"
    secrets_arn = "arn:aws:kms:us-west-2:123456789012:key/mrk-0f0f0f0f00004000800000000000000b"
  }
  release = {
    commit = "0123456789abcdef0123456789abcdef01234567"
    sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/bank-test-boundary"
  settings                 = { BANK_NAME = "Example Bank", BUSINESS_TIMEZONE = "America/New_York" }
  emails                   = ["operators@example.org"]
}

run "everything_is_called_after_its_environment_and_region" {
  command = plan
  assert {
    condition     = output.deployment.group == "bank-test-us-west-2" && output.deployment.url == "https://us-west-2.bank.example.org"
    error_message = "Operators look for bank-test-us-west-2."
  }
}

run "a_replica_is_nobodys_source" {
  command = plan
  assert {
    condition     = output.primary_arn == null
    error_message = "Only a primary may be followed."
  }
}

run "pages_are_read_on_the_replica_beside_their_servers" {
  command = plan
  assert {
    condition     = local.reads_near
    error_message = "A page over the ocean takes ten times as long."
  }
}

run "beside_the_primary_there_is_no_replica_to_read" {
  command = plan
  variables {
    role                 = "primary"
    replicate_source_arn = null
    primary_address      = null
  }
  assert {
    condition     = !local.reads_near
    error_message = "The primary is as near, and never behind."
  }
}

run "releases_lie_where_nobody_else_reads_them_and_every_version_is_kept" {
  command = plan
  assert {
    condition     = aws_s3_bucket_public_access_block.artifacts.restrict_public_buckets && aws_s3_bucket_versioning.artifacts.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.artifacts.force_destroy
    error_message = "The artifact bucket must be private, versioned, and not be deleted with what is in it."
  }
}

run "connections_are_counted_against_what_the_engine_takes" {
  command = plan
  variables { database = { engine = "mysql" } }
  assert {
    condition     = local.max_connections == 600
    error_message = "MySQL takes fewer connections than PostgreSQL on the same class, and an alarm at 80 % of more than all would never ring."
  }
}

run "the_logs_key_rotates" {
  command = plan
  assert {
    condition     = aws_kms_key.logs.enable_key_rotation && aws_kms_key.logs.deletion_window_in_days == 30
    error_message = "A key that is deleted by mistake can be brought back for 30 days."
  }
}

run "refuses_a_name_too_long_for_a_load_balancer" {
  command = plan
  variables { environment_name = "bank-preproduction-two" }
  expect_failures = [var.environment_name]
}
