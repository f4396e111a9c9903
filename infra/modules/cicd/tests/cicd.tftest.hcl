# The provider itself, so that policies and user data are rendered as AWS will get them; nothing here asks an account.
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "nobody"
  secret_key                  = "nothing"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.here
  values = { account_id = "123456789012" }
}

variables {
  network    = { vpc_id = "vpc-0123456789abcdef0", subnets = { us-east-1a = "subnet-0aaaaaaaaaaaaaaaa", us-east-1b = "subnet-0bbbbbbbbbbbbbbbb" } }
  repository = { url = "https://git.example.org/bank.git" }
  key_arn    = "arn:aws:kms:us-east-1:123456789012:key/0f0f0f0f-0000-4000-8000-000000000000"
  image_id   = "ami-0123456789abcdef0"
}

run "nothing_is_let_in_but_the_agents_websocket" {
  command = plan
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.controller_from_agents.from_port == 8080 &&
      aws_vpc_security_group_ingress_rule.controller_from_agents.to_port == 8080 &&
      aws_vpc_security_group_ingress_rule.controller_from_agents.cidr_ipv4 == null
    )
    error_message = "The only way in is 8080, from the agents' group: there is no port 22, and no range of addresses."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.agent : template.key_name == null])
    error_message = "No agent has an SSH key."
  }
}

run "hosts_reach_out_by_tls_alone" {
  command = plan
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.https : rule.from_port == 443 && rule.to_port == 443])
    error_message = "Outwards there is 443, and 8080 from an agent to the controller."
  }
}

run "instance_metadata_is_asked_by_version_2_alone_and_disks_are_encrypted" {
  command = plan
  assert {
    condition = alltrue([
      aws_instance.controller.metadata_options[0].http_tokens == "required",
      aws_instance.controller.metadata_options[0].http_put_response_hop_limit == 1,
      aws_instance.controller.root_block_device[0].encrypted,
      aws_ebs_volume.home.encrypted,
    ])
    error_message = "The controller must use IMDSv2 and encrypted disks."
  }
  assert {
    condition = alltrue([for template in aws_launch_template.agent : alltrue([
      template.metadata_options[0].http_tokens == "required",
      template.metadata_options[0].http_put_response_hop_limit == 1,
      tobool(template.block_device_mappings[0].ebs[0].encrypted),
      template.block_device_mappings[0].ebs[0].volume_size > 0,
    ])])
    error_message = "Agents must use IMDSv2 and encrypted disks."
  }
}

run "jenkins_home_outlives_its_host_and_is_backed_up_daily" {
  command = plan
  assert {
    condition = alltrue([
      aws_ebs_volume.home.final_snapshot,
      aws_instance.controller.disable_api_termination,
      aws_volume_attachment.home.stop_instance_before_detaching,
      aws_ebs_volume.home.availability_zone == "us-east-1a",
      aws_instance.controller.subnet_id == "subnet-0aaaaaaaaaaaaaaaa",
    ])
    error_message = "The home must be a volume of its own, in the controller's zone, with a last snapshot."
  }
  assert {
    condition = alltrue([
      aws_dlm_lifecycle_policy.home[0].policy_details[0].target_tags.Backup == aws_ebs_volume.home.tags.Backup,
      aws_dlm_lifecycle_policy.home[0].policy_details[0].schedule[0].create_rule[0].interval == 24,
      aws_dlm_lifecycle_policy.home[0].policy_details[0].schedule[0].retain_rule[0].interval == 35,
      aws_dlm_lifecycle_policy.home[0].state == "ENABLED",
    ])
    error_message = "The home must be snapshot every day, and snapshots kept for backup_days."
  }
}

run "building_has_no_rights_in_aws_but_session_manager_logs_and_its_own_key" {
  command = plan
  assert {
    condition = toset(flatten([
      for policy in [aws_iam_role_policy.base["build"].policy, aws_iam_role_policy.agent["build"].policy] : [for statement in jsondecode(policy).Statement : statement.Sid]
    ])) == toset(["SessionManager", "Logs", "ItsOwnKey", "TheKeyOfSecrets"])
    error_message = "A build runs any branch's code: its role must not do anything else."
  }
  assert {
    condition     = !strcontains("${aws_iam_role_policy.base["build"].policy}${aws_iam_role_policy.agent["build"].policy}", "sts:AssumeRole")
    error_message = "The build agents' role takes no other role."
  }
}

run "agents_that_run_branches_plan_the_test_environment_and_are_nobody_else" {
  command = plan
  assert {
    condition = jsonencode({ for label in ["plan", "deploy"] : label => [
      for statement in jsondecode(aws_iam_role_policy.agent[label].policy).Statement : sort(flatten([statement.Resource])) if statement.Action == "sts:AssumeRole"
      ] }) == jsonencode({
      plan   = [["arn:aws:iam::123456789012:role/bank-test-plan"]]
      deploy = [[for role in ["production-deploy", "production-plan", "test-deploy", "test-plan"] : "arn:aws:iam::123456789012:role/bank-${role}"]]
    })
    error_message = "plan takes bank-test-plan alone: who plans can read the schema owner's password."
  }
  assert {
    condition     = aws_iam_role.host["plan"].name == "bank-cicd-plan-agent" && aws_iam_role.host["deploy"].name == "bank-cicd-deploy-agent"
    error_message = "infra/bootstrap trusts the agents by these names."
  }
}

run "an_agent_reads_no_key_but_its_own_kinds" {
  command = plan
  assert {
    condition = alltrue([for label, policy in aws_iam_role_policy.agent : [
      for statement in jsondecode(policy.policy).Statement : statement.Resource if statement.Sid == "ItsOwnKey"
    ] == ["arn:aws:secretsmanager:us-east-1:123456789012:secret:bank-cicd/agent-${label}-*"]])
    error_message = "With another's key, an agent that runs any branch's code could pass for one that deploys."
  }
}

run "each_agent_comes_back_by_itself_and_is_known_by_name" {
  command = plan
  assert {
    condition     = toset(keys(aws_autoscaling_group.agent)) == toset(["build-1", "build-2", "plan-1", "deploy-1"]) && toset(keys(aws_secretsmanager_secret.agent)) == toset(keys(aws_autoscaling_group.agent))
    error_message = "Each agent has a group and a key of its own."
  }
  assert {
    condition = alltrue([for name, group in aws_autoscaling_group.agent : group.min_size == 1 && group.max_size == 1 && anytrue([
      for tag in group.tag : tag.key == "bank:node" && tag.value == name && tag.propagate_at_launch
    ])])
    error_message = "A group has one agent, which learns its name from its tag."
  }
}

run "agents_that_run_branches_live_for_a_day_and_those_that_deploy_are_not_ended_in_the_middle" {
  command = plan
  assert {
    condition     = { for name, group in aws_autoscaling_group.agent : name => group.max_instance_lifetime } == { build-1 = 86400, build-2 = 86400, plan-1 = 86400, deploy-1 = 0 }
    error_message = "What a branch leaves on an agent must be gone by the next day."
  }
}

run "deployments_know_by_a_tag_that_agents_are_not_theirs" {
  command = plan
  assert {
    condition = alltrue([for group in aws_autoscaling_group.agent : anytrue([
      for tag in group.tag : tag.key == "Bank" && tag.value == "bank-cicd" && tag.propagate_at_launch
    ])])
    error_message = "Without the tag an environment's deployment may end Jenkins' agents, or give them other rights."
  }
}

# Jenkins' patterns look ahead, which Terraform's cannot; tests/infra/test_jenkins_configuration.py tries those out.
run "only_reviewed_branches_reach_the_agents_that_deploy" {
  command = plan
  assert {
    condition = alltrue([for branch, taken in { "bank/main/part of main" = true, "bank/dev" = true, "bank/feature" = false, "bank/main%2Fmine/part" = false, "drift/part of drift #1" = true, "bank/drift" = false, "drifting" = false, "other/main" = false } :
      can(regex("^${local.jobs["deploy-1"]}$", branch)) == taken
    ])
    error_message = "Whatever a branch's Jenkinsfile asks for, only dev, main and the drift job, which is main's, are taken."
  }
}

run "what_is_released_is_built_where_no_branch_ever_was" {
  command = plan
  assert {
    condition     = local.jobs["build-1"] == local.jobs["deploy-1"] && local.jobs["build-2"] == "bank/(?!(main|dev)(/|$)).*" && local.jobs["plan-1"] != local.jobs["deploy-1"]
    error_message = "An agent must take either main and dev, or all other branches."
  }
}

run "user_data_fits_and_holds_no_secret" {
  command = plan
  assert {
    # Base64 makes four characters of three bytes; AWS takes 16 KiB of what is encoded.
    condition     = alltrue([for data in concat([aws_instance.controller.user_data_base64], [for template in aws_launch_template.agent : template.user_data]) : length(data) * 3 / 4 < 16384])
    error_message = "User data is longer than AWS takes."
  }
  assert {
    condition     = alltrue([for config in local.cloud_config : !can(regex("(AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY)", config))])
    error_message = "User data can be read by whoever describes an instance."
  }
}

run "terraform_is_held_to_its_checksum" {
  command = plan
  assert {
    condition     = local.environment.deploy.TERRAFORM_VERSION == "1.11.4" && length(local.environment.deploy.TERRAFORM_SHA256) == 64 && strcontains(local.cloud_config.deploy, "matches \"$work/terraform\" \"$TERRAFORM_SHA256\"")
    error_message = "An agent installs Terraform only with the expected SHA-256."
  }
}

run "a_throwaway_jenkins_leaves_nothing_behind" {
  command = plan
  variables { protected = false }
  assert {
    condition     = !aws_ebs_volume.home.final_snapshot && !aws_instance.controller.disable_api_termination && length(aws_dlm_lifecycle_policy.home) == 0
    error_message = "Unprotected, everything can be destroyed."
  }
}

run "refuses_a_repository_without_tls" {
  command = plan
  variables { repository = { url = "http://git.example.org/bank.git" } }
  expect_failures = [var.repository]
}

run "refuses_a_password_in_the_repositorys_address" {
  command = plan
  variables { repository = { url = "https://me:secret@git.example.org/bank.git" } }
  expect_failures = [var.repository]
}

run "refuses_a_weekly_jenkins" {
  command = plan
  variables { versions = { jenkins = "2.585" } }
  expect_failures = [var.versions]
}

run "refuses_terraform_without_a_checksum" {
  command = plan
  variables { versions = { terraform_sha256 = "" } }
  expect_failures = [var.versions]
}

run "refuses_to_let_branches_plan_production" {
  command = plan
  variables { environment_of_branches = "production" }
  expect_failures = [var.environment_of_branches]
}

run "refuses_a_label_without_agents" {
  command = plan
  variables { agents = { deploy = { count = 0 } } }
  expect_failures = [var.agents]
}

run "refuses_one_agent_for_reviewed_and_other_builds" {
  command = plan
  variables { agents = { build = { count = 1 } } }
  expect_failures = [var.agents]
}

run "refuses_backups_shorter_than_a_week" {
  command = plan
  variables { backup_days = 3 }
  expect_failures = [var.backup_days]
}
