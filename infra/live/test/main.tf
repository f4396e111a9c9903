# The bank that every push to `dev` is deployed to.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # `make plan` names the bucket: bank-test-state-<account id>, made by infra/bootstrap.
  backend "s3" {
    key          = "terraform.tfstate"
    region       = "us-east-1"
    encrypt      = true
    use_lockfile = true
  }
}

locals {
  tags = { Bank = "bank-test", ManagedBy = "terraform" }
}

provider "aws" {
  alias  = "east"
  region = "us-east-1"
  default_tags { tags = local.tags }
}

provider "aws" {
  alias  = "west"
  region = "us-west-2"
  default_tags { tags = local.tags }
}

# Made anew at every run and kept nowhere; it reaches the database and its secret only when owner_password_version, or the
# primary, changes.
ephemeral "aws_secretsmanager_random_password" "owner" {
  provider            = aws.east
  password_length     = 40
  exclude_punctuation = true
}

module "estate" {
  source    = "../../estate"
  providers = { aws.east = aws.east, aws.west = aws.west }

  environment            = "test"
  domain                 = var.domain
  primary                = var.primary
  bank                   = var.bank
  release                = var.release
  images                 = var.images
  emails                 = var.emails
  owner_password         = ephemeral.aws_secretsmanager_random_password.owner.random_password
  owner_password_version = var.owner_password_version

  # One of each where production has two, the smallest of each, and nothing that outlives its use.
  networks = {
    east = { cidr = "10.21.0.0/16", zones = { us-east-1a = 0, us-east-1b = 1 }, nat = "single", interface_endpoints = [] }
    west = { cidr = "10.31.0.0/16", zones = { us-west-2a = 0, us-west-2b = 1 }, nat = "single", interface_endpoints = [] }
  }
  database = {
    engine          = var.engine
    size            = { instance_class = "db.t4g.small", storage_gib = 20, max_storage_gib = 100, multi_az = false }
    backups         = { days = 7, final_snapshot = false }
    max_connections = 150
  }
  servers = { instance_type = "t3.small", most = 3 }
  # The class has 2 GiB of memory.
  thresholds         = { memory_free_mib = 128 }
  log_retention_days = 30
  protected          = false
}
