# What a deployment does, and no more. The estate's parts are known by their names (bank-<environment>-...) where AWS lets a
# policy name them, and by their tag Bank where it does not.

locals {
  # Roles of the estate go to these services, and to nobody else.
  role_takers = ["ec2.amazonaws.com", "monitoring.rds.amazonaws.com", "vpc-flow-logs.amazonaws.com"]
  pipelines_own = {
    for environment in var.environments : environment => [
      "${local.iam}:role/bank-${environment}-plan", "${local.iam}:role/bank-${environment}-deploy", "${local.iam}:policy/bank-*",
    ]
  }
}

# Networks and servers, whose names AWS makes up: what bears another environment's tag is denied below.
data "aws_iam_policy_document" "estate" {
  for_each = var.environments

  statement {
    sid = "NetworksAndServers"
    actions = [
      "ec2:Accept*", "ec2:Allocate*", "ec2:Associate*", "ec2:Attach*", "ec2:Authorize*", "ec2:Create*", "ec2:Delete*", "ec2:Describe*", "ec2:Detach*", "ec2:Disassociate*",
      "ec2:Modify*", "ec2:Release*", "ec2:Replace*", "ec2:Revoke*", "ec2:RunInstances", "ec2:TerminateInstances",
    ]
    resources = ["*"]
  }
  statement {
    sid = "Certificates"
    actions = [
      "acm:AddTagsToCertificate", "acm:DeleteCertificate", "acm:DescribeCertificate", "acm:GetCertificate", "acm:ListTagsForCertificate", "acm:RemoveTagsFromCertificate",
      "acm:RequestCertificate", "acm:UpdateCertificateOptions",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "HealthChecks"
    actions   = ["route53:Get*", "route53:List*", "route53:ChangeTagsForResource", "route53:CreateHealthCheck", "route53:UpdateHealthCheck", "route53:DeleteHealthCheck"]
    resources = ["*"]
  }
  # Environments may share a zone, so it is the records' names that are limited.
  statement {
    sid       = "Names"
    actions   = ["route53:ChangeResourceRecordSets"]
    resources = ["${local.arn}:route53:::hostedzone/*"]
    condition {
      test     = "ForAllValues:StringLike"
      variable = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
      values   = [var.domains[each.key], "*.${var.domains[each.key]}"]
    }
  }
  statement {
    sid = "LookAround"
    actions = [
      "acm:ListCertificates", "autoscaling:Describe*", "cloudwatch:Describe*", "elasticloadbalancing:Describe*", "iam:GetRole", "kms:DescribeKey", "kms:List*", "logs:Describe*",
      "logs:List*", "rds:Describe*", "rds:List*", "s3:ListAllMyBuckets", "sns:List*", "ssm:DescribeParameters", "wafv2:Describe*", "wafv2:List*",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "NewKeys"
    actions   = ["kms:CreateKey", "kms:TagResource"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/Bank"
      values   = ["bank-${each.key}"]
    }
  }
  statement {
    sid = "Keys"
    actions = [
      "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:EnableKeyRotation", "kms:Get*", "kms:PutKeyPolicy", "kms:ReplicateKey",
      "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
    ]
    resources = ["${local.arn}:kms:*:${local.account}:key/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Bank"
      values   = ["bank-${each.key}"]
    }
  }
  statement {
    sid       = "NamesOfKeys"
    actions   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
    resources = ["${local.arn}:kms:*:${local.account}:alias/bank-${each.key}-*"]
  }
  # The services encrypt on the deployment's behalf: a secret's new value, a disk, a database.
  statement {
    sid       = "KeysAsTheServicesUseThem"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["${local.arn}:kms:*:${local.account}:key/*"]
    condition {
      test     = "StringLike"
      variable = "kms:ViaService"
      values   = ["ec2.*.amazonaws.com", "rds.*.amazonaws.com", "secretsmanager.*.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Bank"
      values   = ["bank-${each.key}"]
    }
  }
  # A database keeps a grant on its key; a person could use one, too.
  statement {
    sid       = "KeysLentToServicesAlone"
    actions   = ["kms:CreateGrant"]
    resources = ["${local.arn}:kms:*:${local.account}:key/*"]
    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Bank"
      values   = ["bank-${each.key}"]
    }
  }
}

# What is known by its name.
data "aws_iam_policy_document" "named" {
  for_each = var.environments

  statement {
    sid       = "GroupsOfServers"
    actions   = ["autoscaling:*"]
    resources = ["${local.arn}:autoscaling:*:${local.account}:autoScalingGroup:*:autoScalingGroupName/bank-${each.key}-*"]
  }
  # A firewall is put before a load balancer, and AWS wants leave for both.
  statement {
    sid     = "LoadBalancersAndFirewalls"
    actions = ["elasticloadbalancing:*", "wafv2:*"]
    resources = concat(
      [for part in ["loadbalancer/app", "listener/app"] : "${local.arn}:elasticloadbalancing:*:${local.account}:${part}/bank-${each.key}-*"],
      ["${local.arn}:elasticloadbalancing:*:${local.account}:targetgroup/bank-${each.key}-*"],
      ["${local.arn}:wafv2:*:${local.account}:regional/webacl/bank-${each.key}-*", "${local.arn}:wafv2:*:*:*/managedruleset/*"],
    )
  }
  statement {
    sid       = "Alarms"
    actions   = ["cloudwatch:*"]
    resources = ["${local.arn}:cloudwatch:*:${local.account}:alarm:bank-${each.key}-*", "${local.arn}:cloudwatch::${local.account}:dashboard/bank-${each.key}-*"]
  }
  # AWS takes no narrower leave for this one; another environment's is denied by its tag.
  statement {
    sid       = "AlarmsOfAlarms"
    actions   = ["cloudwatch:PutCompositeAlarm"]
    resources = ["*"]
  }
  statement {
    sid       = "Databases"
    actions   = ["rds:*"]
    resources = ["${local.arn}:rds:*:${local.account}:*:bank-${each.key}-*", "${local.arn}:rds:*:${local.account}:og:default:*", "${local.arn}:rds:*:${local.account}:pg:default.*"]
  }
  # A copy of a database's backups has neither a name nor a tag.
  statement {
    sid       = "CopiesOfBackups"
    actions   = ["rds:StartDBInstanceAutomatedBackupsReplication", "rds:StopDBInstanceAutomatedBackupsReplication"]
    resources = ["${local.arn}:rds:*:${local.account}:auto-backup:*"]
  }
  statement {
    sid     = "LogsAndTopics"
    actions = ["logs:*", "sns:*"]
    resources = [
      "${local.arn}:logs:*:${local.account}:log-group:/bank-${each.key}-*", "${local.arn}:logs:*:${local.account}:log-group:/aws/rds/instance/bank-${each.key}-*",
      "${local.arn}:logs:*:${local.account}:log-group:aws-waf-logs-bank-${each.key}-*", "${local.arn}:sns:*:${local.account}:bank-${each.key}-*",
    ]
  }
  statement {
    sid       = "DeliveryOfTheFirewallsLog"
    actions   = ["logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:GetLogDelivery", "logs:PutResourcePolicy", "logs:UpdateLogDelivery"]
    resources = ["*"]
  }
  statement {
    sid       = "Buckets"
    actions   = ["s3:*"]
    resources = ["${local.s3}bank-${each.key}-*"]
  }
  statement {
    sid = "SecretsPlaces"
    actions = [
      "secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy", "secretsmanager:ListSecretVersionIds",
      "secretsmanager:RemoveRegionsFromReplication", "secretsmanager:ReplicateSecretToRegions", "secretsmanager:RestoreSecret", "secretsmanager:StopReplicationToReplica",
      "secretsmanager:TagResource", "secretsmanager:UntagResource", "secretsmanager:UpdateSecret",
    ]
    resources = ["${local.arn}:secretsmanager:*:${local.account}:secret:bank-${each.key}/*"]
  }
  # The application's keys, once lost, are lost with all that they encrypted: its own job makes them, and nobody writes over them.
  statement {
    sid       = "TheSecretThatTerraformWrites"
    actions   = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
    resources = [local.owners_secrets[each.key]]
  }
  statement {
    sid       = "MachineImages"
    actions   = ["ssm:GetParameter", "ssm:GetParameters"]
    resources = ["${local.arn}:ssm:*::parameter/aws/service/*"]
  }
  statement {
    sid       = "ResultsOfJobs"
    actions   = ["ssm:DeleteParameter", "ssm:GetParameter"]
    resources = ["${local.arn}:ssm:*:${local.account}:parameter/bank-${each.key}-*/jobs/*"]
  }
}

locals {
  # policy => what it says; one document would be longer than AWS takes.
  deploy_policies = merge([for environment in var.environments : {
    "${environment}-deploy-estate" = { environment = environment, json = data.aws_iam_policy_document.estate[environment].json }
    "${environment}-deploy-named"  = { environment = environment, json = data.aws_iam_policy_document.named[environment].json }
  }]...)
}

resource "aws_iam_policy" "estate" {
  for_each = local.deploy_policies

  name        = "bank-${each.key}"
  description = "What a deployment makes and changes"
  policy      = each.value.json
}

resource "aws_iam_role_policy_attachment" "estate" {
  for_each = local.deploy_policies

  role       = aws_iam_role.pipeline["${each.value.environment}-deploy"].name
  policy_arn = aws_iam_policy.estate[each.key].arn
}

data "aws_iam_policy_document" "deploy" {
  for_each = var.environments

  statement {
    sid       = "WriteTheState"
    actions   = ["s3:PutObject"]
    resources = ["${local.s3}${local.states[each.key]}/terraform.tfstate"]
  }
  statement {
    sid       = "RolesUnderTheBoundary"
    actions   = ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    resources = ["${local.iam}:role/bank-${each.key}-*"]
    condition {
      test     = "StringEquals"
      variable = "iam:PermissionsBoundary"
      values   = ["${local.iam}:policy/bank-${each.key}-boundary"]
    }
  }
  statement {
    sid = "RolesAsSuch"
    actions = [
      "iam:DeleteRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:ListRoleTags", "iam:TagRole",
      "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription",
    ]
    resources = ["${local.iam}:role/bank-${each.key}-*"]
  }
  statement {
    sid       = "InstanceProfiles"
    actions   = ["iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:GetInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:UntagInstanceProfile"]
    resources = ["${local.iam}:instance-profile/bank-${each.key}-*"]
  }
  statement {
    sid       = "HandRolesToTheirServices"
    actions   = ["iam:PassRole"]
    resources = ["${local.iam}:role/bank-${each.key}-*"]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = local.role_takers
    }
  }
  statement {
    sid       = "RolesThatServicesMakeForThemselves"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["${local.iam}:role/aws-service-role/*"]
    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com", "rds.amazonaws.com", "wafv2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "deploy" {
  for_each = var.environments

  name   = "deploy"
  role   = aws_iam_role.pipeline["${each.key}-deploy"].id
  policy = data.aws_iam_policy_document.deploy[each.key].json
}

data "aws_iam_policy_document" "limits" {
  for_each = var.environments

  statement {
    sid       = "NotThePipelineItself"
    effect    = "Deny"
    actions   = ["iam:*"]
    resources = local.pipelines_own[each.key]
  }
  statement {
    sid       = "TheBoundaryStays"
    effect    = "Deny"
    actions   = ["iam:DeleteRolePermissionsBoundary"]
    resources = ["*"]
  }
  # The state is written as an object; nothing else of its bucket, or of another state's, is the deployment's.
  statement {
    sid         = "StateBucketsStay"
    effect      = "Deny"
    not_actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
    resources   = ["${local.s3}bank-*-state-${local.account}", "${local.s3}bank-*-state-${local.account}/*"]
  }
  statement {
    sid       = "TheStateStays"
    effect    = "Deny"
    actions   = ["s3:DeleteObject"]
    resources = ["${local.s3}${local.states[each.key]}/terraform.tfstate"]
  }
  statement {
    sid       = "StateKeysKeepTheirNames"
    effect    = "Deny"
    actions   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
    resources = ["${local.arn}:kms:*:${local.account}:alias/bank-*-state"]
  }
  # They have no tag, and whoever may tag a new key could otherwise make one of them its own.
  statement {
    sid         = "StateKeysStay"
    effect      = "Deny"
    not_actions = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    resources   = ["${local.arn}:kms:*:${local.account}:key/*"]
    condition {
      test     = "ForAnyValue:StringLike"
      variable = "kms:ResourceAliases"
      values   = ["alias/bank-*-state"]
    }
  }
  statement {
    sid       = "NotAnotherEnvironment"
    effect    = "Deny"
    actions   = ["*"]
    resources = ["*"]
    condition {
      test     = "StringNotEquals"
      variable = "aws:ResourceTag/Bank"
      values   = ["bank-${each.key}"]
    }
    condition {
      test     = "Null"
      variable = "aws:ResourceTag/Bank"
      values   = ["false"]
    }
  }
  statement {
    sid       = "NotInAnothersName"
    effect    = "Deny"
    actions   = ["*"]
    resources = ["*"]
    condition {
      test     = "StringNotEquals"
      variable = "aws:RequestTag/Bank"
      values   = ["bank-${each.key}"]
    }
    condition {
      test     = "Null"
      variable = "aws:RequestTag/Bank"
      values   = ["false"]
    }
  }
}

resource "aws_iam_role_policy" "limits" {
  for_each = var.environments

  name   = "limits"
  role   = aws_iam_role.pipeline["${each.key}-deploy"].id
  policy = data.aws_iam_policy_document.limits[each.key].json
}
