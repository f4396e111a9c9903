# Agents by label. Each stands in a group of its own, which puts a new one in its place when it is lost; each is known to
# Jenkins by name, and has a key of its own, so that no agent can pass for another kind.

locals {
  nodes = merge([for label, agent in var.agents : { for number in range(1, agent.count + 1) : "${label}-${number}" => label }]...)

  # Whose builds an agent takes, whatever a branch says in its Jenkinsfile. No agent takes both what was reviewed and what was
  # not: builds are root, and what a branch left behind would pack the next release, or write its plan.
  reviewed = "(bank/(main|dev)|drift)(/.*)?"
  branches = "bank/(?!(main|dev)(/|$)).*"
  jobs = { for name, label in local.nodes : name => {
    # Every other one: 1, 3, ... for main and dev.
    build  = tonumber(split("-", name)[1]) % 2 == 1 ? local.reviewed : local.branches
    plan   = "${local.branches}|drift/.*"
    deploy = local.reviewed
  }[label] }

  # Whom an agent may be in AWS. Who plans can read the schema owner's password: production's only where reviewed code runs.
  takes = {
    build  = []
    plan   = ["${var.environment_of_branches}-plan"]
    deploy = flatten([for environment in sort(tolist(var.environments)) : [for purpose in ["deploy", "plan"] : "${environment}-${purpose}"]])
  }

  nodes_as_code = {
    jenkins = {
      nodes = [for name, label in local.nodes : {
        permanent = {
          name              = name
          labelString       = label
          mode              = "EXCLUSIVE"
          numExecutors      = var.agents[label].executors
          remoteFS          = "/var/lib/jenkins-agent"
          retentionStrategy = "always"
          launcher          = { inbound = { webSocket = true } }
          nodeProperties    = [{ jobRestrictionProperty = { jobRestriction = { regexNameRestriction = { regexExpression = local.jobs[name], checkShortName = false } } } }]
        }
      }]
    }
  }
}

data "aws_iam_policy_document" "agent" {
  for_each = toset(local.labels)

  statement {
    sid       = "ItsOwnKey"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["${local.arn}:secretsmanager:${local.region}:${local.account}:secret:${var.name}/agent-${each.key}-*"]
  }
  statement {
    sid       = "TheKeyOfSecrets"
    actions   = ["kms:Decrypt"]
    resources = [var.key_arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${local.region}.amazonaws.com"]
    }
  }
  # Nothing is done in AWS but as the roles that infra/bootstrap made for it.
  dynamic "statement" {
    for_each = length(local.takes[each.key]) == 0 ? [] : [local.takes[each.key]]
    content {
      sid       = "ThePipelinesRoles"
      actions   = ["sts:AssumeRole"]
      resources = [for role in statement.value : "${local.arn}:iam::${local.account}:role/bank-${role}"]
    }
  }
}

resource "aws_iam_role_policy" "agent" {
  for_each = toset(local.labels)

  name   = "agent"
  role   = aws_iam_role.host[each.key].id
  policy = data.aws_iam_policy_document.agent[each.key].json
}

resource "aws_launch_template" "agent" {
  for_each = toset(local.labels)

  name                   = "${var.name}-${each.key}"
  description            = "Jenkins agents labelled ${each.key}"
  image_id               = local.image
  instance_type          = var.agents[each.key].instance_type
  user_data              = base64gzip(local.cloud_config[each.key])
  update_default_version = true

  vpc_security_group_ids = [aws_security_group.agents.id]

  iam_instance_profile {
    arn = aws_iam_instance_profile.host[each.key].arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = var.agents[each.key].disk_gib
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }
}

resource "aws_autoscaling_group" "agent" {
  for_each = local.nodes

  name                      = "${var.name}-${each.key}"
  vpc_zone_identifier       = values(var.network.subnets)
  min_size                  = 1
  max_size                  = 1
  wait_for_capacity_timeout = "0"
  # What a branch's build left behind is gone by the next day. Those that deploy run reviewed code, and must not be ended in the middle.
  max_instance_lifetime = each.value == "deploy" ? 0 : 86400

  launch_template {
    id      = aws_launch_template.agent[each.value].id
    version = aws_launch_template.agent[each.value].latest_version
  }

  tag {
    key                 = "Name"
    value               = "${var.name}-${each.key}"
    propagate_at_launch = true
  }
  # Groups and their servers have no tags by default, and by this one deployments know that they are not theirs.
  tag {
    key                 = "Bank"
    value               = var.name
    propagate_at_launch = true
  }
  tag {
    key                 = "bank:node"
    value               = each.key
    propagate_at_launch = true
  }

  depends_on = [aws_iam_role_policy.base, aws_iam_role_policy.agent, aws_cloudwatch_log_group.host]
}
