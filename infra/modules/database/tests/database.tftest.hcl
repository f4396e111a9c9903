mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  name     = "bank-test-us-east-1"
  role     = "primary"
  password = "not a real one, and never in a state"
  network = {
    subnets           = { us-east-1a = "subnet-0aaaaaaaaaaaaaaaa", us-east-1b = "subnet-0bbbbbbbbbbbbbbbb" }
    security_group_id = "sg-0123456789abcdef0"
  }
  keys = {
    storage_arn = "arn:aws:kms:us-east-1:123456789012:key/mrk-0f0f0f0f00004000800000000000000a"
    logs_arn    = "arn:aws:kms:us-east-1:123456789012:key/0f0f0f0f-0000-4000-8000-000000000000"
  }
}

run "it_is_private_encrypted_and_has_a_standby" {
  command = plan
  assert {
    condition     = !aws_db_instance.bank.publicly_accessible && aws_db_instance.bank.storage_encrypted && aws_db_instance.bank.multi_az
    error_message = "The database must be private, encrypted and in two zones."
  }
}

run "connections_without_tls_are_refused" {
  command = plan
  assert {
    condition     = anytrue([for parameter in aws_db_parameter_group.bank.parameter : parameter.name == "rds.force_ssl" && parameter.value == "1"])
    error_message = "PostgreSQL must force TLS."
  }
}

run "mysql_forces_tls_and_lets_triggers_be_made_under_a_binary_log" {
  command = plan
  variables { engine = "mysql" }
  assert {
    condition = alltrue([
      for name in ["require_secure_transport", "log_bin_trust_function_creators"] :
      anytrue([for parameter in aws_db_parameter_group.bank.parameter : parameter.name == name && parameter.value == "1"])
    ])
    error_message = "MySQL must force TLS and trust the creators of functions."
  }
  assert {
    condition     = aws_db_instance.bank.port == 3306
    error_message = "MySQL listens on 3306."
  }
}

run "commits_are_durable" {
  command = plan
  assert {
    condition     = anytrue([for parameter in aws_db_parameter_group.bank.parameter : parameter.name == "synchronous_commit" && parameter.value == "on"])
    error_message = "A commit is on disk before it is answered."
  }
}

run "backups_reach_back_35_days_and_one_is_made_at_the_end" {
  command = plan
  assert {
    condition     = aws_db_instance.bank.backup_retention_period == 35 && !aws_db_instance.bank.skip_final_snapshot && aws_db_instance.bank.deletion_protection
    error_message = "Backups, a final snapshot and deletion protection are the default."
  }
}

run "a_replica_is_told_neither_user_nor_password" {
  command = plan
  variables {
    role                 = "replica"
    password             = null
    replicate_source_arn = "arn:aws:rds:us-east-1:123456789012:db:bank-test-us-east-1"
  }
  assert {
    condition     = local.login.user == null && local.login.database == null && aws_db_instance.bank.backup_retention_period == 35
    error_message = "AWS refuses a replica with a user of its own; its backups make it fit to be promoted."
  }
}

run "refuses_backups_too_short_for_the_restore_drill" {
  command = plan
  variables { backups = { days = 1 } }
  expect_failures = [var.backups]
}

run "refuses_a_replica_of_nothing" {
  command = plan
  variables { role = "replica" }
  expect_failures = [var.replicate_source_arn]
}

run "refuses_another_engine" {
  command = plan
  variables { engine = "oracle" }
  expect_failures = [var.engine]
}
