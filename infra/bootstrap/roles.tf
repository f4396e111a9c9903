# Whom the pipeline is in AWS: per environment a role that reads and plans, and one that deploys.

locals {
  roles = merge([for environment in var.environments : {
    for purpose in ["plan", "deploy"] : "${environment}-${purpose}" => { environment = environment, purpose = purpose }
  }]...)
  # Who plans for an environment: where branches plan it, code that nobody has reviewed runs there.
  agents = { for name, role in local.roles : name => concat(
    role.purpose == "plan" && role.environment == var.environment_of_branches ? ["plan"] : [], ["deploy"],
  ) }
  owners_secrets = { for name in var.environments : name => "${local.arn}:secretsmanager:*:${local.account}:secret:bank-${name}/owner-??????" }
}

# A principal that does not exist yet cannot be named in a trust policy, but it can be named in a condition: so the roles
# may be made before Jenkins is.
data "aws_iam_policy_document" "trust" {
  for_each = local.roles

  statement {
    sid     = "ItsAgentsAlone"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = ["${local.iam}:root"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values = sort(concat(
        [for label in local.agents[each.key] : "${local.iam}:role/bank-cicd-${label}-agent"],
        tolist(try(var.further_principals[each.value.environment][each.value.purpose], [])),
      ))
    }
  }
}

resource "aws_iam_role" "pipeline" {
  for_each = local.roles

  name                 = "bank-${each.key}"
  description          = { plan = "Reads and plans", deploy = "Deploys" }[each.value.purpose]
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  max_session_duration = 3600
}

# Both: the state, and what Terraform asks of AWS itself.
data "aws_iam_policy_document" "state" {
  for_each = var.environments

  statement {
    sid       = "FindTheState"
    actions   = ["s3:ListBucket"]
    resources = ["${local.s3}${local.states[each.key]}"]
  }
  statement {
    sid       = "ReadTheState"
    actions   = ["s3:GetObject"]
    resources = ["${local.s3}${local.states[each.key]}/terraform.tfstate"]
  }
  statement {
    sid       = "LockIt"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["${local.s3}${local.states[each.key]}/terraform.tfstate.tflock"]
  }
  statement {
    sid       = "WithItsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]
    condition {
      test     = "ForAnyValue:StringEquals"
      variable = "kms:ResourceAliases"
      values   = ["alias/bank-${each.key}-state"]
    }
  }
  # Terraform's provider reads a secret's version to see that it is still there, also one whose value it never keeps.
  # The owner's is the only version that Terraform makes.
  statement {
    sid       = "TheOnlySecretThatTerraformWrites"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [local.owners_secrets[each.key]]
  }
  statement {
    sid       = "NewPasswords"
    actions   = ["secretsmanager:GetRandomPassword"]
    resources = ["*"]
  }
  statement {
    sid       = "DecryptThatSecret"
    actions   = ["kms:Decrypt"]
    resources = ["*"]
    condition {
      test     = "StringLike"
      variable = "kms:ViaService"
      values   = ["secretsmanager.*.amazonaws.com"]
    }
    condition {
      test     = "ForAnyValue:StringEquals"
      variable = "kms:ResourceAliases"
      values   = ["alias/bank-${each.key}-secrets"]
    }
  }
}

resource "aws_iam_role_policy" "state" {
  for_each = local.roles

  name   = "state"
  role   = aws_iam_role.pipeline[each.key].id
  policy = data.aws_iam_policy_document.state[each.value.environment].json
}

# Both: whatever else allows it, these stay closed.
data "aws_iam_policy_document" "closed" {
  for_each = var.environments

  statement {
    sid           = "NoSecretsValueButTheOwners"
    effect        = "Deny"
    actions       = ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"]
    not_resources = [local.owners_secrets[each.key]]
  }
  statement {
    sid           = "NoParametersButJobsAndImages"
    effect        = "Deny"
    actions       = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory"]
    not_resources = ["${local.arn}:ssm:*:${local.account}:parameter/bank-${each.key}-*/jobs/*", "${local.arn}:ssm:*::parameter/aws/service/*"]
  }
  statement {
    sid     = "NoObjectsButTheStateAndReleases"
    effect  = "Deny"
    actions = ["s3:GetObject*"]
    not_resources = [
      "${local.s3}${local.states[each.key]}/terraform.tfstate*",
      "${local.s3}bank-${each.key}-*-artifacts-${local.account}/*",
    ]
  }
  statement {
    sid    = "NobodysDataAndNoBackDoors"
    effect = "Deny"
    actions = [
      "ebs:*", "ec2:CreateImage", "ec2:CreateSnapshot*", "ec2:GetConsole*", "ec2:GetPasswordData", "ec2:ModifySnapshotAttribute", "ec2:SendSerialConsoleSSHPublicKey",
      "logs:CreateExportTask", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetLogObject", "logs:GetLogRecord", "logs:GetQueryResults", "logs:PutSubscriptionFilter",
      "logs:StartLiveTail", "logs:StartQuery", "logs:Unmask",
      # Performance Insights shows statements.
      "pi:*",
      "rds:CopyDBSnapshot", "rds:DeleteDBInstanceAutomatedBackup", "rds:Download*", "rds:ModifyDBSnapshotAttribute", "rds:StartExportTask",
      "ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:SendCommand", "ssm:StartSession", "wafv2:GetSampledRequests",
    ]
    resources = ["*"]
  }
  statement {
    sid         = "NowhereElse"
    effect      = "Deny"
    not_actions = ["iam:*", "route53:*", "sts:*"]
    resources   = ["*"]
    condition {
      test     = "StringNotEquals"
      variable = "aws:RequestedRegion"
      values   = sort(tolist(var.regions))
    }
  }
}

resource "aws_iam_role_policy" "closed" {
  for_each = local.roles

  name   = "closed"
  role   = aws_iam_role.pipeline[each.key].id
  policy = data.aws_iam_policy_document.closed[each.value.environment].json
}

resource "aws_iam_role_policy_attachment" "read" {
  for_each = { for name, role in local.roles : name => role if role.purpose == "plan" }

  role       = aws_iam_role.pipeline[each.key].name
  policy_arn = "${local.arn}:iam::aws:policy/ReadOnlyAccess"
}
