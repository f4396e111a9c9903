# The most that any role of the estate may ever do, whatever a deployment writes into it: what servers, jobs and AWS's own
# helpers need. A deployment cannot make a role without it, and cannot change it.

data "aws_iam_policy_document" "boundary" {
  for_each = var.environments

  statement {
    sid       = "LogsAndMetrics"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:PutRetentionPolicy", "logs:Describe*", "logs:GetLogEvents"]
    resources = ["${local.arn}:logs:*:${local.account}:log-group:/bank-${each.key}-*", "${local.arn}:logs:*:${local.account}:log-group:RDS*"]
  }
  statement {
    sid       = "WhatHasNoNames"
    actions   = ["cloudwatch:PutMetricData", "ec2:DescribeTags", "ec2:DescribeVolumes", "logs:DescribeLogGroups", "autoscaling:Describe*"]
    resources = ["*"]
  }
  statement {
    sid = "SessionManager"
    actions = [
      "ec2messages:*", "ssmmessages:*", "ssm:DescribeAssociation", "ssm:DescribeDocument", "ssm:GetDeployablePatchSnapshotForInstance", "ssm:GetDocument", "ssm:GetManifest",
      "ssm:ListAssociations", "ssm:ListInstanceAssociations", "ssm:PutComplianceItems", "ssm:PutConfigurePackageResult", "ssm:PutInventory", "ssm:UpdateAssociationStatus",
      "ssm:UpdateInstanceAssociationStatus", "ssm:UpdateInstanceInformation",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "ResultsOfJobs"
    actions   = ["ssm:PutParameter", "ssm:AddTagsToResource"]
    resources = ["${local.arn}:ssm:*:${local.account}:parameter/bank-${each.key}-*/jobs/*"]
  }
  statement {
    sid       = "Releases"
    actions   = ["s3:GetObject", "s3:ListBucket"]
    resources = ["${local.s3}bank-${each.key}-*-artifacts-${local.account}", "${local.s3}bank-${each.key}-*-artifacts-${local.account}/*"]
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
    resources = ["${local.arn}:secretsmanager:*:${local.account}:secret:bank-${each.key}/*"]
  }
  statement {
    sid       = "KeysOfThisEnvironment"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"]
    resources = ["${local.arn}:kms:*:${local.account}:key/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Bank"
      values   = ["bank-${each.key}"]
    }
  }
  statement {
    sid       = "OnesOwnEnd"
    actions   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    resources = ["${local.arn}:autoscaling:*:${local.account}:autoScalingGroup:*:autoScalingGroupName/bank-${each.key}-*"]
  }
}

resource "aws_iam_policy" "boundary" {
  for_each = var.environments

  name        = "bank-${each.key}-boundary"
  description = "The most that a role of this environment's servers may ever do"
  policy      = data.aws_iam_policy_document.boundary[each.key].json
}
