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
    condition     = !aws_db_instance.primary[0].publicly_accessible && aws_db_instance.primary[0].storage_encrypted && aws_db_instance.primary[0].multi_az
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
    condition     = aws_db_instance.primary[0].port == 3306
    error_message = "MySQL listens on 3306."
  }
}

run "a_commit_on_mysql_has_a_name_that_a_replica_knows" {
  command = plan
  variables { engine = "mysql" }
  assert {
    condition = alltrue([
      for name in ["gtid-mode", "enforce_gtid_consistency"] :
      anytrue([for parameter in aws_db_parameter_group.bank.parameter : parameter.name == name && parameter.value == "ON"])
    ])
    error_message = "Without GTIDs nobody can say whether a replica has what a session was shown, and every page goes to the primary."
  }
}

run "a_page_on_the_replica_is_not_broken_off_by_what_the_primary_cleans_up" {
  command = plan
  assert {
    condition     = anytrue([for parameter in aws_db_parameter_group.bank.parameter : parameter.name == "hot_standby_feedback" && parameter.value == "1"])
    error_message = "The replica tells the primary which rows its pages still read."
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
    condition     = aws_db_instance.primary[0].backup_retention_period == 35 && !aws_db_instance.primary[0].skip_final_snapshot && !aws_db_instance.primary[0].delete_automated_backups && aws_db_instance.primary[0].deletion_protection
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
    condition     = length(aws_db_instance.primary) == 0 && aws_db_instance.replica[0].password_wo_version == null && aws_db_instance.replica[0].storage_encrypted && aws_db_instance.replica[0].backup_retention_period == 35
    error_message = "AWS refuses a replica with a login of its own; its encryption and backups make it fit to be promoted."
  }
}

run "a_slow_replica_is_waited_for_and_not_begun_anew" {
  command = plan
  variables {
    role                 = "replica"
    password             = null
    replicate_source_arn = "arn:aws:rds:us-east-1:123456789012:db:bank-test-us-east-1"
  }
  assert {
    condition     = aws_db_instance.replica[0].timeouts.create == "3h"
    error_message = "Terraform gives up after 40 minutes by itself; a replica in another region may take longer."
  }
}

run "the_primarys_backups_are_copied_to_the_replicas_region" {
  command = plan
  variables {
    role                 = "replica"
    password             = null
    replicate_source_arn = "arn:aws:rds:us-east-1:123456789012:db:bank-test-us-east-1"
  }
  assert {
    condition     = aws_db_instance_automated_backups_replication.here[0].retention_period == 35 && aws_db_instance_automated_backups_replication.here[0].source_db_instance_arn == var.replicate_source_arn
    error_message = "The other region's backups must be copied here for as long as they are kept there."
  }
}

run "what_the_database_does_is_watched_and_kept_for_a_year" {
  command = plan
  assert {
    condition     = aws_db_instance.primary[0].monitoring_interval == 60 && aws_db_instance.primary[0].performance_insights_enabled
    error_message = "Enhanced monitoring and Performance Insights are the default."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.database : group.retention_in_days == 365])
    error_message = "What the database logs is kept for a year."
  }
}

run "the_smallest_mysql_goes_without_the_insights_that_aws_refuses_it" {
  command = plan
  variables {
    engine = "mysql"
    size   = { instance_class = "db.t4g.small", storage_gib = 20, max_storage_gib = 100, multi_az = false }
  }
  assert {
    condition     = !aws_db_instance.primary[0].performance_insights_enabled
    error_message = "AWS refuses Performance Insights on MySQL's db.t4g.small."
  }
}

run "the_smallest_postgresql_has_insights" {
  command = plan
  variables {
    size = { instance_class = "db.t4g.small", storage_gib = 20, max_storage_gib = 100, multi_az = false }
  }
  assert {
    condition     = aws_db_instance.primary[0].performance_insights_enabled && aws_db_instance.primary[0].performance_insights_retention_period == 7
    error_message = "PostgreSQL has Performance Insights on every class."
  }
}

run "no_parameter_is_refused_as_static_or_changes_in_every_plan" {
  command = plan
  variables { engine = "mysql" }
  assert {
    condition     = length(aws_db_parameter_group.bank.parameter) > 10 && alltrue([for parameter in aws_db_parameter_group.bank.parameter : parameter.apply_method == "pending-reboot"])
    error_message = "AWS refuses \"immediate\" for a static parameter such as innodb_rollback_on_timeout."
  }
}

run "what_needs_no_last_backup_leaves_none" {
  command = plan
  variables { backups = { days = 7, final_snapshot = false } }
  assert {
    condition     = aws_db_instance.primary[0].skip_final_snapshot && aws_db_instance.primary[0].delete_automated_backups
    error_message = "Without a final snapshot, automated backups must end with the database, too."
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

run "its_role_is_bounded" {
  command = plan
  variables { permissions_boundary_arn = "arn:aws:iam::123456789012:policy/bank-test-boundary" }
  assert {
    condition     = aws_iam_role.monitoring.permissions_boundary == var.permissions_boundary_arn
    error_message = "A deployment may make no role without the boundary."
  }
}
