# One key for the databases' storage and one for secrets, each in both regions: what one region encrypted, the other reads
# when it has to take over.
locals {
  key_purposes = {
    storage = "the database and its backups"
    secrets = "logins and keys"
  }
}

resource "aws_kms_key" "shared" {
  provider = aws.east
  for_each = local.key_purposes

  description             = "${local.name}: ${each.value}"
  multi_region            = true
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.account_decides.json
}

resource "aws_kms_replica_key" "shared" {
  provider = aws.west
  for_each = local.key_purposes

  description             = "${local.name}: ${each.value}"
  primary_key_arn         = aws_kms_key.shared[each.key].arn
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.account_decides.json
}

resource "aws_kms_alias" "east" {
  provider = aws.east
  for_each = local.key_purposes

  name          = "alias/${local.name}-${each.key}"
  target_key_id = aws_kms_key.shared[each.key].key_id
}

resource "aws_kms_alias" "west" {
  provider = aws.west
  for_each = local.key_purposes

  name          = "alias/${local.name}-${each.key}"
  target_key_id = aws_kms_replica_key.shared[each.key].key_id
}

data "aws_caller_identity" "here" {
  provider = aws.east
}

data "aws_partition" "here" {
  provider = aws.east
}

data "aws_iam_policy_document" "account_decides" {
  provider = aws.east

  statement {
    sid       = "TheAccountsOwnPoliciesDecide"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.here.account_id}:root"]
    }
  }
}

# Terraform writes only the owner's; the first `migrate` job makes the application's login and keys.
resource "aws_secretsmanager_secret" "bank" {
  provider = aws.east
  for_each = {
    owner = "Login of the schema's owner: for jobs that migrate"
    login = "The application's present login: SQL role and password"
    keys  = "SECRET_KEY and IDENTITY_KEYS: losing them loses customers' identity numbers"
  }

  name                    = "${local.name}/${each.key}"
  description             = each.value
  kms_key_id              = aws_kms_key.shared["secrets"].arn
  recovery_window_in_days = var.protected ? 30 : 0

  replica {
    region     = local.regions.west
    kms_key_id = aws_kms_replica_key.shared["secrets"].arn
  }
}

locals {
  # Another primary has to be told the password anew, so its place is part of the version.
  owner_password_version = var.owner_password_version * 2 + (var.primary == local.regions.east ? 0 : 1)
  secrets = {
    east = { for name, secret in aws_secretsmanager_secret.bank : name => secret.arn }
    west = { for name, secret in aws_secretsmanager_secret.bank : name => replace(secret.arn, ":${local.regions.east}:", ":${local.regions.west}:") }
  }
}

resource "aws_secretsmanager_secret_version" "owner" {
  provider = aws.east

  secret_id                = aws_secretsmanager_secret.bank["owner"].id
  secret_string_wo         = jsonencode({ username = "bank_owner", password = var.owner_password })
  secret_string_wo_version = local.owner_password_version
}
