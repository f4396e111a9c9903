data "aws_caller_identity" "here" {}

locals {
  account = data.aws_caller_identity.here.account_id
  # A secret is written in its home region, under that region's half of the key.
  written = {
    secrets = [for secret in [var.secrets.login, var.secrets.keys] : replace(secret, ":${local.region}:", ":${local.home_region}:")]
    key     = replace(var.keys.secrets_arn, ":${local.region}:", ":${local.home_region}:")
  }
  policies = {
    app = data.aws_iam_policy_document.app.json
    job = data.aws_iam_policy_document.job.json
  }
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "server" {
  for_each = local.policies

  name                 = "${var.name}-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.assume.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "server" {
  for_each = local.policies

  name   = each.key
  role   = aws_iam_role.server[each.key].id
  policy = each.value
}

resource "aws_iam_instance_profile" "server" {
  for_each = local.policies

  name = "${var.name}-${each.key}"
  role = aws_iam_role.server[each.key].name

  # A server that starts before its rights are there would fail at the first thing it does.
  depends_on = [aws_iam_role_policy.server]
}

# Session Manager, for operators who have to look; a job's server has the owner's rights, and nobody gets in there.
resource "aws_iam_role_policy_attachment" "session_manager" {
  role       = aws_iam_role.server["app"].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

data "aws_iam_policy_document" "app" {
  statement {
    sid       = "FetchReleases"
    actions   = ["s3:GetObject"]
    resources = ["${var.artifacts.arn}/releases/*"]
  }
  statement {
    sid       = "ReadLoginAndKeys"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.secrets.login, var.secrets.keys]
  }
  statement {
    sid       = "DecryptThem"
    actions   = ["kms:Decrypt"]
    resources = [var.keys.secrets_arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${local.region}.amazonaws.com"]
    }
  }
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${var.log_group.arn}:*"]
  }
  # CloudWatch knows no resources for metrics, only namespaces.
  statement {
    sid       = "PublishMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = ["Bank"]
    }
  }
  statement {
    sid       = "SayReadyAndDrained"
    actions   = ["autoscaling:CompleteLifecycleAction"]
    resources = ["arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/${var.name}"]
  }
}

data "aws_iam_policy_document" "job" {
  statement {
    sid       = "FetchReleases"
    actions   = ["s3:GetObject"]
    resources = ["${var.artifacts.arn}/releases/*"]
  }
  statement {
    sid       = "ReadAllThree"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.secrets.owner, var.secrets.login, var.secrets.keys]
  }
  statement {
    sid       = "WriteLoginAndKeys"
    actions   = ["secretsmanager:PutSecretValue"]
    resources = local.written.secrets
  }
  statement {
    sid       = "DecryptAndEncryptThem"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = distinct([var.keys.secrets_arn, local.written.key])
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = distinct([for region in [local.region, local.home_region] : "secretsmanager.${region}.amazonaws.com"])
    }
  }
  statement {
    sid       = "SayHowItEnded"
    actions   = ["ssm:PutParameter"]
    resources = ["arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${var.name}/jobs/*"]
  }
}
