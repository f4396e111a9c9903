# One region of the bank: its network, its way in, its servers, its database, and who watches them.

data "aws_region" "here" {}

locals {
  region  = data.aws_region.here.name
  name    = "${var.environment_name}-${local.region}"
  address = "${local.region}.${var.domain.name}"
  ports   = { database = { postgres = 5432, mysql = 3306 }[var.database.engine] }
  # Pages are read near their servers; beside the primary there is nothing nearer.
  reads_near = var.role == "replica"
  keys       = { storage_arn = var.keys.storage_arn, logs_arn = aws_kms_key.logs.arn }
  # As RDS reckons them from the default class's memory: a connection takes more of it on MySQL.
  max_connections = coalesce(var.database.max_connections, { postgres = 800, mysql = 600 }[var.database.engine])
}

module "network" {
  source                   = "../modules/network"
  name                     = local.name
  cidr                     = var.network.cidr
  zones                    = var.network.zones
  nat                      = var.network.nat
  interface_endpoints      = var.network.interface_endpoints
  permissions_boundary_arn = var.permissions_boundary_arn
  flow_logs                = { kms_key_arn = aws_kms_key.logs.arn, retention_days = var.log_retention_days }
}

module "security" {
  source              = "../modules/security"
  name                = local.name
  vpc_id              = module.network.vpc_id
  ports               = local.ports
  peer_private_cidrs  = var.peer.private_cidrs
  peer_database_cidrs = var.peer.database_cidrs
}

module "certificate" {
  source       = "../modules/certificate"
  domain       = var.domain.name
  alternatives = [local.address]
  zone_id      = var.domain.zone_id
}

module "alb" {
  source              = "../modules/alb"
  name                = local.name
  certificate_arn     = module.certificate.arn
  log_kms_key_arn     = aws_kms_key.logs.arn
  deletion_protection = var.protected
  logs                = { force_destroy = !var.protected, retention_days = var.log_retention_days }
  network = {
    vpc_id            = module.network.vpc_id
    public_subnets    = module.network.public_subnets
    security_group_id = module.security.alb
  }
}

module "database" {
  source                   = "../modules/database"
  name                     = local.name
  engine                   = var.database.engine
  role                     = var.role
  replicate_source_arn     = var.replicate_source_arn
  password                 = var.role == "primary" ? var.owner_password : null
  password_version         = var.owner_password_version
  size                     = var.database.size
  backups                  = var.database.backups
  permissions_boundary_arn = var.permissions_boundary_arn
  monitoring               = { log_days = var.log_retention_days }
  deletion_protection      = var.protected
  keys                     = local.keys
  network                  = { subnets = module.network.database_subnets, security_group_id = module.security.database }
}

module "observability" {
  source             = "../modules/observability"
  name               = local.name
  role               = var.role
  load_balancer      = { arn_suffix = module.alb.arn_suffix }
  target_group       = { arn_suffix = module.alb.target_group.arn_suffix }
  group              = local.name
  zones              = toset(keys(var.network.zones))
  keys               = { logs_arn = aws_kms_key.logs.arn }
  emails             = var.emails
  log_retention_days = var.log_retention_days
  thresholds         = var.thresholds
  database = {
    identifier      = module.database.identifier
    engine          = var.database.engine
    storage_gib     = var.database.size.storage_gib
    max_connections = local.max_connections
  }
}

module "app" {
  source                   = "../modules/app"
  name                     = local.name
  environment_name         = var.environment_name
  permissions_boundary_arn = var.permissions_boundary_arn
  image_id                 = var.image_id
  release                  = var.release
  settings                 = var.settings
  size                     = var.servers
  roll_out                 = var.roll_out
  secrets                  = var.secrets
  keys                     = { secrets_arn = var.keys.secrets_arn, logs_arn = aws_kms_key.logs.arn }
  artifacts                = { bucket = aws_s3_bucket.artifacts.id, arn = aws_s3_bucket.artifacts.arn }
  network                  = { subnets = module.network.private_subnets, security_group_id = module.security.app }
  target_group             = module.alb.target_group
  load_balancer_arn_suffix = module.alb.arn_suffix
  log_group                = module.observability.log_group
  rollback_alarms          = module.observability.rollback_alarms
  database = {
    engine          = var.database.engine
    address         = coalesce(var.primary_address, module.database.address)
    port            = local.ports.database
    replica_address = local.reads_near ? module.database.address : null
  }
}
