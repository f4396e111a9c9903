# Jenkins, in a network and a state of its own: the pipeline cannot destroy what it runs on. Applied by an administrator.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # bank-cicd-state-<account id>, made by infra/bootstrap and named at init.
  backend "s3" {
    key          = "terraform.tfstate"
    region       = "us-east-1"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = "us-east-1"
  default_tags { tags = { Bank = "bank-cicd", ManagedBy = "terraform" } }
}

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  name    = "bank-cicd"
  account = data.aws_caller_identity.here.account_id
  arn     = "arn:${data.aws_partition.here.partition}"
}

# For logs, secrets and Jenkins' home.
resource "aws_kms_key" "cicd" {
  description             = "${local.name}: logs, secrets, the home of Jenkins"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "cicd" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.cicd.key_id
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "TheAccountsOwnPoliciesDecide"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["${local.arn}:iam::${local.account}:root"]
    }
  }
  statement {
    sid       = "ItsLogGroups"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["logs.${data.aws_region.here.name}.amazonaws.com"]
    }
    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["${local.arn}:logs:${data.aws_region.here.name}:${local.account}:log-group:/${local.name}/*"]
    }
  }
}

module "network" {
  source    = "../modules/network"
  name      = local.name
  cidr      = "10.40.0.0/16"
  zones     = var.zones
  nat       = "single"
  flow_logs = { kms_key_arn = aws_kms_key.cicd.arn }
}

module "jenkins" {
  source     = "../modules/cicd"
  name       = local.name
  key_arn    = aws_kms_key.cicd.arn
  network    = { vpc_id = module.network.vpc_id, subnets = module.network.private_subnets }
  repository = var.repository
  controller = var.controller
  agents     = var.agents
  protected  = var.protected
  image_id   = var.image_id
}
