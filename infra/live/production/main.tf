# The bank.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # `make plan` names the bucket: bank-production-state-<account id>, made by infra/bootstrap.
  backend "s3" {
    key          = "terraform.tfstate"
    region       = "us-east-1"
    encrypt      = true
    use_lockfile = true
  }
}

locals {
  tags = { Bank = "bank-production", ManagedBy = "terraform" }
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

  environment            = "production"
  domain                 = var.domain
  primary                = var.primary
  bank                   = var.bank
  release                = var.release
  images                 = var.images
  emails                 = var.emails
  owner_password         = ephemeral.aws_secretsmanager_random_password.owner.random_password
  owner_password_version = var.owner_password_version

  networks = {
    east = { cidr = "10.20.0.0/16", zones = { us-east-1a = 0, us-east-1b = 1 } }
    west = { cidr = "10.30.0.0/16", zones = { us-west-2a = 0, us-west-2b = 1 } }
  }
  database = { engine = var.engine }
}
