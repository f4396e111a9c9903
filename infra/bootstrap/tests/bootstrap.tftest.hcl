# The provider itself, so that policies are rendered as AWS will get them; nothing here asks an account.
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
  domains = { production = "bank.example.org", test = "test.bank.example.org" }
}

run "each_state_has_a_bucket_of_its_own_named_by_environment_and_account" {
  command = plan
  assert {
    condition = { for name, bucket in aws_s3_bucket.state : name => bucket.bucket } == {
      cicd       = "bank-cicd-state-123456789012"
      production = "bank-production-state-123456789012"
      test       = "bank-test-state-123456789012"
    }
    error_message = "The buckets' names are what `make plan` gives to terraform init."
  }
}

run "states_are_versioned_encrypted_private_and_kept_90_days" {
  command = plan
  assert {
    condition = alltrue([for name in keys(aws_s3_bucket.state) : alltrue([
      aws_s3_bucket_versioning.state[name].versioning_configuration[0].status == "Enabled",
      one(one(aws_s3_bucket_server_side_encryption_configuration.state[name].rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms",
      aws_kms_key.state[name].enable_key_rotation,
      aws_s3_bucket_public_access_block.state[name].block_public_policy,
      aws_s3_bucket_public_access_block.state[name].restrict_public_buckets,
      one(aws_s3_bucket_lifecycle_configuration.state[name].rule[0].noncurrent_version_expiration).noncurrent_days == 90,
      !aws_s3_bucket.state[name].force_destroy,
    ])])
    error_message = "A state bucket is not versioned, encrypted with a rotated key, private, or does not keep replaced states for 90 days."
  }
}

run "states_are_reached_by_tls_alone_and_by_no_other_role_of_the_bank" {
  command = plan
  assert {
    condition = alltrue([for name, policy in aws_s3_bucket_policy.state : alltrue([
      for effect in [for statement in jsondecode(policy.policy).Statement : statement.Effect] : effect == "Deny"
    ]) && toset([for statement in jsondecode(policy.policy).Statement : statement.Sid]) == toset(["TLSOnly", "NoOtherRoleOfTheBank"])])
    error_message = "A bucket's policy must refuse what is not TLS, and the bank's other roles."
  }
  assert {
    condition = [
      for statement in jsondecode(aws_s3_bucket_policy.state["production"].policy).Statement : statement.Condition.ArnNotEquals["aws:PrincipalArn"]
      if statement.Sid == "NoOtherRoleOfTheBank"
    ][0] == ["arn:aws:iam::123456789012:role/bank-production-plan", "arn:aws:iam::123456789012:role/bank-production-deploy"]
    error_message = "Only production's own pipeline reaches production's state."
  }
}

# Who plans can read the schema owner's password, and agents labelled plan run what nobody has reviewed.
run "only_agents_take_the_pipelines_roles_and_those_of_branches_only_tests_plan" {
  command = plan
  assert {
    condition = { for name, role in aws_iam_role.pipeline : name => [
      for statement in jsondecode(role.assume_role_policy).Statement : flatten([statement.Condition.ArnEquals["aws:PrincipalArn"]])
      ] } == {
      production-deploy = [["arn:aws:iam::123456789012:role/bank-cicd-deploy-agent"]]
      production-plan   = [["arn:aws:iam::123456789012:role/bank-cicd-deploy-agent"]]
      test-deploy       = [["arn:aws:iam::123456789012:role/bank-cicd-deploy-agent"]]
      test-plan         = [["arn:aws:iam::123456789012:role/bank-cicd-deploy-agent", "arn:aws:iam::123456789012:role/bank-cicd-plan-agent"]]
    }
    error_message = "A role can be taken by somebody else than the agents that it is for."
  }
}

run "the_user_of_the_access_key_may_be_let_in" {
  command = plan
  variables {
    further_principals = { production = { deploy = ["arn:aws:iam::123456789012:user/jenkins"] } }
  }
  assert {
    condition = length(one(jsondecode(aws_iam_role.pipeline["production-deploy"].assume_role_policy).Statement).Condition.ArnEquals["aws:PrincipalArn"]) == 2 && (
      one(jsondecode(aws_iam_role.pipeline["production-plan"].assume_role_policy).Statement).Condition.ArnEquals["aws:PrincipalArn"] == "arn:aws:iam::123456789012:role/bank-cicd-deploy-agent"
    )
    error_message = "A further principal gets the one role that it was named for."
  }
}

run "planning_writes_nothing_but_the_lock" {
  command = plan
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.state["test-plan"].policy).Statement : statement.Resource
      if length(setintersection(flatten([statement.Action]), ["s3:PutObject", "s3:DeleteObject"])) > 0
    ])) == toset(["arn:aws:s3:::bank-test-state-123456789012/terraform.tfstate.tflock"])
    error_message = "The role that plans may write the lock, and nothing else."
  }
  assert {
    condition     = aws_iam_role_policy_attachment.read["test-plan"].policy_arn == "arn:aws:iam::aws:policy/ReadOnlyAccess" && length(aws_iam_role_policy_attachment.read) == 2
    error_message = "Only the roles that plan read everything that is not closed to them."
  }
}

run "no_secrets_value_is_read_but_the_one_that_terraform_writes" {
  command = plan
  assert {
    condition = alltrue([for policy in aws_iam_role_policy.closed : anytrue([
      for statement in jsondecode(policy.policy).Statement : statement.Effect == "Deny" && try(contains(statement.Action, "secretsmanager:GetSecretValue"), false) &&
      can(regex(":secret:bank-(test|production)/owner-[?]{6}$", statement.NotResource))
    ])])
    error_message = "Logins and keys of the application are closed to the pipeline."
  }
}

run "a_deployment_makes_roles_only_under_the_boundary" {
  command = plan
  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.deploy["test"].policy, aws_iam_policy.estate["test-deploy-estate"].policy, aws_iam_policy.estate["test-deploy-named"].policy] : [
        for statement in jsondecode(policy).Statement : try(statement.Condition.StringEquals["iam:PermissionsBoundary"], "") == "arn:aws:iam::123456789012:policy/bank-test-boundary"
        if length(setintersection(flatten([statement.Action]), ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:*", "*"])) > 0
      ]
    ]))
    error_message = "A role could be made, or given rights, without the boundary."
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.limits["test"].policy).Statement : statement if statement.Sid == "NotThePipelineItself"] == [{
      Sid      = "NotThePipelineItself"
      Effect   = "Deny"
      Action   = "iam:*"
      Resource = ["arn:aws:iam::123456789012:role/bank-test-plan", "arn:aws:iam::123456789012:role/bank-test-deploy", "arn:aws:iam::123456789012:policy/bank-*"]
    }]
    error_message = "A deployment must not change its own roles, nor any boundary."
  }
}

run "a_deployment_hands_roles_only_to_the_services_that_need_them" {
  command = plan
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.deploy["test"].policy).Statement : statement.Condition.StringEquals["iam:PassedToService"]
      if try(statement.Action == "iam:PassRole", contains(statement.Action, "iam:PassRole"))
    ] == [["ec2.amazonaws.com", "monitoring.rds.amazonaws.com", "vpc-flow-logs.amazonaws.com"]]
    error_message = "PassRole is limited by service."
  }
}

run "a_deployment_leaves_the_other_environment_alone" {
  command = plan
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.limits["test"].policy).Statement : statement if statement.Sid == "NotAnotherEnvironment"] == [{
      Sid       = "NotAnotherEnvironment"
      Effect    = "Deny"
      Action    = "*"
      Resource  = "*"
      Condition = { StringNotEquals = { "aws:ResourceTag/Bank" = "bank-test" }, Null = { "aws:ResourceTag/Bank" = "false" } }
    }]
    error_message = "What is tagged as another environment's is refused, whatever else allows it."
  }
  assert {
    condition = !strcontains(join("", [
      aws_iam_policy.estate["test-deploy-estate"].policy, aws_iam_policy.estate["test-deploy-named"].policy, aws_iam_role_policy.deploy["test"].policy,
      aws_iam_role_policy.state["test-deploy"].policy,
    ]), "production")
    error_message = "No right of test's deployment names production."
  }
}

run "a_deployment_leaves_the_state_buckets_as_they_are" {
  command = plan
  assert {
    condition = jsonencode([for statement in jsondecode(aws_iam_role_policy.limits["test"].policy).Statement : [statement.Effect, sort(statement.NotAction), sort(statement.Resource)] if statement.Sid == "StateBucketsStay"]) == jsonencode([[
      "Deny", ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"], ["arn:aws:s3:::bank-*-state-123456789012", "arn:aws:s3:::bank-*-state-123456789012/*"],
    ]])
    error_message = "Of a state bucket a deployment reads and writes objects, and nothing else."
  }
}

# AWS's own limits: a managed policy has 6,144 characters, all inline policies of a role together 10,240.
run "policies_are_as_short_as_aws_wants_them" {
  command = plan
  assert {
    condition     = alltrue([for policy in concat(values(aws_iam_policy.estate), values(aws_iam_policy.boundary)) : length(jsonencode(jsondecode(policy.policy))) <= 6144])
    error_message = "A managed policy is longer than 6,144 characters."
  }
  assert {
    condition = alltrue([for name in var.environments : sum([
      for policy in [aws_iam_role_policy.state["${name}-deploy"], aws_iam_role_policy.closed["${name}-deploy"], aws_iam_role_policy.deploy[name], aws_iam_role_policy.limits[name]] : length(jsonencode(jsondecode(policy.policy)))
    ]) <= 10240])
    error_message = "The deployment's inline policies are longer than 10,240 characters."
  }
}

run "refuses_an_environment_that_is_jenkins_itself" {
  command = plan
  variables { environments = ["test", "cicd"] }
  expect_failures = [var.environments]
}

run "refuses_to_let_branches_plan_production" {
  command = plan
  variables { environment_of_branches = "production" }
  expect_failures = [var.environment_of_branches]
}

run "refuses_an_environment_without_a_domain" {
  command = plan
  variables { domains = { production = "bank.example.org" } }
  expect_failures = [var.domains]
}

run "refuses_a_domain_with_a_wildcard" {
  command = plan
  variables { domains = { production = "bank.example.org", test = "*.example.org" } }
  expect_failures = [var.domains]
}

run "refuses_principals_with_wildcards" {
  command = plan
  variables {
    further_principals = { test = { plan = ["arn:aws:iam::123456789012:user/*"] } }
  }
  expect_failures = [var.further_principals]
}

run "refuses_states_forgotten_within_a_month" {
  command = plan
  variables { state_days = 7 }
  expect_failures = [var.state_days]
}
