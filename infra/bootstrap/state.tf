# Terraform's states: one bucket and one key per environment, and one for the Jenkins estate itself.

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}

locals {
  account = data.aws_caller_identity.here.account_id
  arn     = "arn:${data.aws_partition.here.partition}"
  iam     = "${local.arn}:iam::${local.account}"
  s3      = "${local.arn}:s3:::"
  states  = { for name in setunion(var.environments, ["cicd"]) : name => "bank-${name}-state-${local.account}" }
}

resource "aws_kms_key" "state" {
  for_each = local.states

  description             = "bank-${each.key}: Terraform's state"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "state" {
  for_each = local.states

  name          = "alias/bank-${each.key}-state"
  target_key_id = aws_kms_key.state[each.key].key_id
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "TheAccountsOwnPoliciesDecide"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["${local.iam}:root"]
    }
  }
}

resource "aws_s3_bucket" "state" {
  for_each = local.states

  bucket        = each.value
  force_destroy = !var.protected
}

resource "aws_s3_bucket_versioning" "state" {
  for_each = local.states

  bucket = aws_s3_bucket.state[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  for_each = local.states

  bucket = aws_s3_bucket.state[each.key].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.state[each.key].arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  for_each = local.states

  bucket                  = aws_s3_bucket.state[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  for_each = local.states

  bucket = aws_s3_bucket.state[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  for_each = local.states

  bucket = aws_s3_bucket.state[each.key].id
  rule {
    id     = "forget-replaced-states"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = var.state_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.states

  statement {
    sid       = "TLSOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = ["${local.s3}${each.value}", "${local.s3}${each.value}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
  # Whatever a server's or another environment's role is given one day, the state stays closed to it.
  statement {
    sid       = "NoOtherRoleOfTheBank"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = ["${local.s3}${each.value}", "${local.s3}${each.value}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:PrincipalArn"
      values   = ["${local.iam}:role/bank-*"]
    }
    condition {
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = ["${local.iam}:role/bank-${each.key}-plan", "${local.iam}:role/bank-${each.key}-deploy"]
    }
  }
}

resource "aws_s3_bucket_policy" "state" {
  for_each = local.states

  bucket = aws_s3_bucket.state[each.key].id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.state]
}
