mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
}

variables {
  name             = "bank-test-us-east-1"
  environment_name = "bank-test"
  release = {
    commit = "0123456789abcdef0123456789abcdef01234567"
    sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  network = {
    subnets           = { us-east-1a = "subnet-0aaaaaaaaaaaaaaaa", us-east-1b = "subnet-0bbbbbbbbbbbbbbbb" }
    security_group_id = "sg-0123456789abcdef0"
  }
  target_group = {
    arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/bank-test/0123456789abcdef"
    arn_suffix = "targetgroup/bank-test/0123456789abcdef"
  }
  load_balancer_arn_suffix = "app/bank-test/0123456789abcdef"
  settings                 = { BANK_NAME = "Test Bank", BUSINESS_TIMEZONE = "America/New_York" }
  database                 = { engine = "postgres", address = "bank.example.us-east-1.rds.amazonaws.com", port = 5432 }
  secrets = {
    owner = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bank-test/owner-AbCdEf"
    login = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bank-test/login-AbCdEf"
    keys  = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bank-test/keys-AbCdEf"
  }
  artifacts = { bucket = "bank-test-us-east-1-artifacts", arn = "arn:aws:s3:::bank-test-us-east-1-artifacts" }
  keys = {
    secrets_arn = "arn:aws:kms:us-east-1:123456789012:key/mrk-0f0f0f0f00004000800000000000000a"
    logs_arn    = "arn:aws:kms:us-east-1:123456789012:key/0f0f0f0f-0000-4000-8000-000000000000"
  }
  log_group       = { name = "/bank-test-us-east-1/app", arn = "arn:aws:logs:us-east-1:123456789012:log-group:/bank-test-us-east-1/app" }
  rollback_alarms = ["bank-test-us-east-1-5xx"]
}

run "another_environments_deployment_knows_that_these_servers_are_not_its_own" {
  command = plan
  assert {
    condition     = anytrue([for tag in aws_autoscaling_group.app.tag : tag.key == "Bank" && tag.value == "bank-test" && tag.propagate_at_launch])
    error_message = "infra/bootstrap denies deployments what bears another environment's tag, and knows groups and servers by nothing else."
  }
}

run "a_servers_credentials_are_given_only_to_version_2_and_one_hop" {
  command = plan
  assert {
    condition = alltrue([for template in [aws_launch_template.app, aws_launch_template.job] :
      template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1
    ])
    error_message = "IMDSv2 must be required, with one hop."
  }
  assert {
    condition     = aws_launch_template.job.metadata_options[0].instance_metadata_tags == "enabled"
    error_message = "A job's server learns its job from its tags."
  }
}

run "disks_are_encrypted" {
  command = plan
  assert {
    condition = alltrue([for template in [aws_launch_template.app, aws_launch_template.job] :
      template.block_device_mappings[0].ebs[0].encrypted == "true" && template.block_device_mappings[0].ebs[0].volume_type == "gp3"
    ])
    error_message = "Each disk must be encrypted."
  }
}

run "nobody_logs_in_by_ssh" {
  command = plan
  assert {
    condition     = aws_launch_template.app.key_name == null && aws_launch_template.job.key_name == null
    error_message = "Servers have no key pair."
  }
  assert {
    condition     = endswith(aws_iam_role_policy_attachment.session_manager.policy_arn, ":policy/AmazonSSMManagedInstanceCore") && aws_iam_role_policy_attachment.session_manager.role == "bank-test-us-east-1-app"
    error_message = "Operators look at servers by Session Manager, and not at those of jobs."
  }
  assert {
    condition     = alltrue([for config in values(local.cloud_config) : [for user in yamldecode(config).users : user.name] == ["bank"]])
    error_message = "Only the bank's own user is made, which cannot log in."
  }
}

run "at_least_two_servers_stand_in_two_zones" {
  command = plan
  assert {
    condition     = aws_autoscaling_group.app.min_size == 2 && length(aws_autoscaling_group.app.vpc_zone_identifier) == 2
    error_message = "Two servers, two zones."
  }
  assert {
    condition     = aws_autoscaling_group.app.health_check_type == "ELB" && aws_autoscaling_group.app.instance_maintenance_policy[0].min_healthy_percentage == 100
    error_message = "A server that the load balancer finds ill is replaced, after the new one is up."
  }
}

run "servers_are_added_for_cpu_and_for_requests" {
  command = plan
  assert {
    condition     = aws_autoscaling_policy.cpu.target_tracking_configuration[0].target_value == 50 && aws_autoscaling_policy.requests.target_tracking_configuration[0].predefined_metric_specification[0].resource_label == "app/bank-test/0123456789abcdef/targetgroup/bank-test/0123456789abcdef"
    error_message = "Both targets are tracked, and requests are counted at the right target group."
  }
}

run "a_server_that_never_gets_ready_never_serves" {
  command = plan
  assert {
    condition     = aws_autoscaling_lifecycle_hook.ready.lifecycle_transition == "autoscaling:EC2_INSTANCE_LAUNCHING" && aws_autoscaling_lifecycle_hook.ready.default_result == "ABANDON"
    error_message = "Without a word from the server the launch is abandoned."
  }
}

run "a_server_drains_before_it_ends" {
  command = plan
  assert {
    condition     = aws_autoscaling_lifecycle_hook.drain.lifecycle_transition == "autoscaling:EC2_INSTANCE_TERMINATING" && aws_autoscaling_lifecycle_hook.drain.heartbeat_timeout >= 5 + 100 + 60
    error_message = "There is time to learn of it (5 s), to drain and to finish requests (100 s), and to say so."
  }
}

run "the_first_apply_does_not_wait_for_servers" {
  command = plan
  assert {
    condition     = aws_autoscaling_group.app.wait_for_capacity_timeout == "0"
    error_message = "The first release comes after the first apply, so nothing gets ready in it."
  }
}

run "only_the_jobs_role_reads_the_owners_secret" {
  command = plan
  assert {
    condition = !anytrue([for statement in data.aws_iam_policy_document.app.statement :
      anytrue([for action in statement.actions : strcontains(action, "secretsmanager:")]) && setunion(statement.resources, [var.secrets.login, var.secrets.keys]) != toset([var.secrets.login, var.secrets.keys])
    ])
    error_message = "Servers read the login and the keys, and no other secret."
  }
  assert {
    condition = anytrue([for statement in data.aws_iam_policy_document.job.statement :
      contains(statement.actions, "secretsmanager:GetSecretValue") && contains(statement.resources, var.secrets.owner)
    ])
    error_message = "A job reads the owner's secret."
  }
  assert {
    condition     = !strcontains(local.cloud_config.app, "bank-test/owner")
    error_message = "Servers do not even learn where the owner's secret is."
  }
}

run "every_role_is_bounded" {
  command = plan
  variables { permissions_boundary_arn = "arn:aws:iam::123456789012:policy/bank-test-boundary" }
  assert {
    condition     = alltrue([for role in aws_iam_role.server : role.permissions_boundary == var.permissions_boundary_arn])
    error_message = "The pipeline may make no role without the boundary."
  }
}

run "who_looks_at_a_template_sees_its_release" {
  command = plan
  assert {
    condition     = alltrue([for template in [aws_launch_template.app, aws_launch_template.job] : strcontains(template.description, var.release.commit)])
    error_message = "`make status` and going back need the commit of each version."
  }
}

run "rights_are_few_and_each_names_what_it_is_for" {
  command = plan
  assert {
    condition = toset(flatten(data.aws_iam_policy_document.app.statement[*].actions)) == toset([
      "s3:GetObject", "secretsmanager:GetSecretValue", "kms:Decrypt", "logs:CreateLogStream", "logs:DescribeLogStreams",
      "logs:PutLogEvents", "cloudwatch:PutMetricData", "autoscaling:CompleteLifecycleAction",
    ])
    error_message = "A server has a right that it does not need, or lacks one."
  }
  assert {
    condition = toset(flatten(data.aws_iam_policy_document.job.statement[*].actions)) == toset([
      "s3:GetObject", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "kms:Decrypt", "kms:GenerateDataKey", "ssm:PutParameter",
    ])
    error_message = "A job has a right that it does not need, or lacks one."
  }
  assert {
    condition = alltrue([for statement in concat(data.aws_iam_policy_document.app.statement, data.aws_iam_policy_document.job.statement) :
      !contains(statement.resources, "*") || statement.actions == toset(["cloudwatch:PutMetricData"])
    ])
    error_message = "Only metrics, which have no ARN, are allowed on all resources."
  }
  assert {
    condition     = flatten([for statement in data.aws_iam_policy_document.app.statement : [for condition in statement.condition : condition.values if condition.variable == "cloudwatch:namespace"]]) == ["Bank"]
    error_message = "Metrics go to the namespace Bank alone."
  }
}

run "a_job_writes_secrets_where_they_were_made" {
  command = plan
  variables {
    secrets = {
      owner       = "arn:aws:secretsmanager:us-west-2:123456789012:secret:bank-test/owner-AbCdEf"
      login       = "arn:aws:secretsmanager:us-west-2:123456789012:secret:bank-test/login-AbCdEf"
      keys        = "arn:aws:secretsmanager:us-west-2:123456789012:secret:bank-test/keys-AbCdEf"
      home_region = "us-east-1"
    }
  }
  assert {
    condition = anytrue([for statement in data.aws_iam_policy_document.job.statement : statement.actions == toset(["secretsmanager:PutSecretValue"]) && statement.resources == toset([
      "arn:aws:secretsmanager:us-east-1:123456789012:secret:bank-test/login-AbCdEf", "arn:aws:secretsmanager:us-east-1:123456789012:secret:bank-test/keys-AbCdEf",
    ])])
    error_message = "Replicas of secrets take no writes."
  }
}

run "a_jobs_server_ends_itself" {
  command = plan
  assert {
    condition     = aws_launch_template.job.instance_initiated_shutdown_behavior == "terminate" && yamldecode(local.cloud_config.job).bootcmd == [["systemd-run", "--no-block", "--on-active=2h", "systemctl", "poweroff"]]
    error_message = "What shuts down is gone, and it shuts down whatever happens."
  }
}

run "user_data_fits_and_differs_by_engine" {
  command = plan
  variables {
    database = { engine = "mysql", address = "bank.example.us-east-1.rds.amazonaws.com", port = 3306 }
  }
  assert {
    condition     = alltrue([for text in values(local.user_data) : length(text) <= 21848])
    error_message = "AWS takes 16 KiB."
  }
  assert {
    condition     = strcontains(local.cloud_config.app, "mysql://bank.example.us-east-1.rds.amazonaws.com:3306/bank?ssl_ca=/etc/bank/rds.pem&ssl_check_hostname=true")
    error_message = "MySQL is asked for its certificate, which must name the host."
  }
}

run "a_server_beside_a_replica_is_told_of_it_and_any_other_is_not" {
  command = plan
  variables {
    database = { engine = "postgres", address = "bank.example.us-east-1.rds.amazonaws.com", port = 5432, replica_address = "bank.example.us-west-2.rds.amazonaws.com" }
  }
  assert {
    condition     = strcontains(local.env_files["/etc/bank/bank.env"], "DATABASE_REPLICA_URL=\"postgresql://bank.example.us-west-2.rds.amazonaws.com:5432/bank?sslmode=verify-full&sslrootcert=/etc/bank/rds.pem\"")
    error_message = "Pages are read near; and the replica, too, is asked for its certificate."
  }
  assert {
    condition     = strcontains(local.cloud_config.app, "bank.example.us-east-1.rds.amazonaws.com:5432/bank")
    error_message = "What is written goes to the primary."
  }
}

run "a_server_beside_the_primary_knows_no_replica" {
  command = plan
  assert {
    condition     = !strcontains(local.env_files["/etc/bank/bank.env"], "DATABASE_REPLICA_URL")
    error_message = "No replica, no setting."
  }
}

run "the_first_release_is_installed" {
  override_resource {
    target = aws_launch_template.app
    values = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
  assert {
    condition     = aws_autoscaling_group.app.launch_template[0].version == "1" && output.launch_template.version == 1
    error_message = "The group begins with the first version."
  }
}

run "apply_rolls_out_nothing" {
  variables {
    release = {
      commit = "fedcba9876543210fedcba9876543210fedcba98"
      sha256 = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
    }
  }
  override_resource {
    target = aws_launch_template.app
    values = { id = "lt-0123456789abcdef0", latest_version = 2 }
  }
  # A mocked template keeps what it computed until it is made anew.
  plan_options { replace = [aws_launch_template.app] }
  assert {
    condition     = strcontains(local.cloud_config.app, "RELEASE_COMMIT=\"fedcba9876543210fedcba9876543210fedcba98\"")
    error_message = "The template carries the new release."
  }
  assert {
    condition     = output.launch_template.version == 2
    error_message = "There is a new version to roll out."
  }
  assert {
    condition     = aws_autoscaling_group.app.launch_template[0].version == "1" && length(aws_autoscaling_group.app.instance_refresh) == 0
    error_message = "The group keeps the version in force; rolling out is the pipeline's."
  }
}

run "refuses_one_server" {
  command = plan
  variables { size = { least = 1 } }
  expect_failures = [var.size]
}

run "refuses_one_zone" {
  command = plan
  variables {
    network = { subnets = { us-east-1a = "subnet-0aaaaaaaaaaaaaaaa" }, security_group_id = "sg-0123456789abcdef0" }
  }
  expect_failures = [var.network]
}

run "refuses_a_secret_among_the_settings" {
  command = plan
  variables { settings = { BANK_NAME = "Test Bank", BUSINESS_TIMEZONE = "America/New_York", SECRET_KEY = "not a real one" } }
  expect_failures = [var.settings]
}

run "refuses_a_setting_that_the_module_makes" {
  command = plan
  variables { settings = { BANK_NAME = "Test Bank", BUSINESS_TIMEZONE = "America/New_York", BANK_ENV = "development" } }
  expect_failures = [var.settings]
}

run "refuses_a_setting_of_two_lines" {
  command = plan
  variables { settings = { BANK_NAME = "Test\nBANK_ENV=development", BUSINESS_TIMEZONE = "America/New_York" } }
  expect_failures = [var.settings]
}

run "refuses_a_release_that_is_no_commit" {
  command = plan
  variables { release = { commit = "main", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" } }
  expect_failures = [var.release]
}

run "refuses_a_release_without_its_digest" {
  command = plan
  variables { release = { commit = "0123456789abcdef0123456789abcdef01234567", sha256 = "" } }
  expect_failures = [var.release]
}

run "refuses_a_roll_out_that_leaves_old_servers" {
  command = plan
  variables { roll_out = { checkpoint_percents = [25, 50] } }
  expect_failures = [var.roll_out]
}

run "refuses_a_roll_out_that_takes_half_the_servers_away" {
  command = plan
  variables { roll_out = { min_healthy_percent = 50 } }
  expect_failures = [var.roll_out]
}
