# The bank in two regions: the same call twice, and what joins them.

locals {
  name    = "bank-${var.environment}"
  regions = { east = "us-east-1", west = "us-west-2" }
  # By its name: infra/bootstrap has a state of its own.
  permissions_boundary_arn = "arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.here.account_id}:policy/${local.name}-boundary"

  settings = merge({ BANK_NAME = var.bank.name, BUSINESS_TIMEZONE = var.bank.timezone }, var.bank.settings)
}

module "east" {
  source    = "../region"
  providers = { aws = aws.east }

  environment_name         = local.name
  domain                   = var.domain
  network                  = var.networks.east
  peer                     = { private_cidrs = module.west.private_cidrs, database_cidrs = module.west.database_cidrs }
  database                 = var.database
  role                     = var.primary == local.regions.east ? "primary" : "replica"
  replicate_source_arn     = var.primary == local.regions.east ? null : module.west.primary_arn
  primary_address          = var.primary == local.regions.east ? null : module.west.database_address
  owner_password           = var.owner_password
  owner_password_version   = local.owner_password_version
  secrets                  = merge(local.secrets.east, { home_region = local.regions.east })
  image_id                 = lookup(var.images, local.regions.east, null)
  keys                     = { storage_arn = aws_kms_key.shared["storage"].arn, secrets_arn = aws_kms_key.shared["secrets"].arn }
  release                  = var.release
  permissions_boundary_arn = local.permissions_boundary_arn
  settings                 = local.settings
  servers                  = var.servers
  roll_out                 = var.roll_out
  thresholds               = var.thresholds
  emails                   = var.emails
  log_retention_days       = var.log_retention_days
  protected                = var.protected
}

module "west" {
  source    = "../region"
  providers = { aws = aws.west }

  environment_name         = local.name
  domain                   = var.domain
  network                  = var.networks.west
  peer                     = { private_cidrs = module.east.private_cidrs, database_cidrs = module.east.database_cidrs }
  database                 = var.database
  role                     = var.primary == local.regions.west ? "primary" : "replica"
  replicate_source_arn     = var.primary == local.regions.west ? null : module.east.primary_arn
  primary_address          = var.primary == local.regions.west ? null : module.east.database_address
  owner_password           = var.owner_password
  owner_password_version   = local.owner_password_version
  secrets                  = merge(local.secrets.west, { home_region = local.regions.east })
  image_id                 = lookup(var.images, local.regions.west, null)
  keys                     = { storage_arn = aws_kms_replica_key.shared["storage"].arn, secrets_arn = aws_kms_replica_key.shared["secrets"].arn }
  release                  = var.release
  permissions_boundary_arn = local.permissions_boundary_arn
  settings                 = local.settings
  servers                  = var.servers
  roll_out                 = var.roll_out
  thresholds               = var.thresholds
  emails                   = var.emails
  log_retention_days       = var.log_retention_days
  protected                = var.protected
}

module "dns" {
  source    = "../modules/dns"
  providers = { aws = aws.east }

  domain  = var.domain.name
  zone_id = var.domain.zone_id
  regions = { for side, region in local.regions : region => { east = module.east, west = module.west }[side].load_balancer }
}

module "watch" {
  source    = "../modules/watch"
  providers = { aws = aws.east }

  name          = local.name
  health_checks = module.dns.health_checks
  topic_arn     = module.east.topic_arn
}
