locals {
  engines = {
    postgres = {
      version  = "16"
      family   = "postgres16"
      port     = 5432
      logs     = ["postgresql", "upgrade"]
      file     = "postgresql.json"
      restarts = ["rds.force_ssl"]
    }
    mysql = {
      version  = "8.4"
      family   = "mysql8.4"
      port     = 3306
      logs     = ["error", "slowquery"]
      file     = "mysql.json"
      restarts = []
    }
  }
  engine = local.engines[var.engine]
  # The file that the tests' own servers are started with, and what only RDS knows.
  parameters = jsondecode(file("${path.module}/parameters/${local.engine.file}"))
  settings   = merge({ for name, value in local.parameters : name => value if name != "rds_only" }, local.parameters.rds_only)
  is_primary = var.role == "primary"
  # A replica has its primary's user, password and database; AWS refuses to be told them again.
  login = local.is_primary ? { database = "bank", user = "bank_owner" } : { database = null, user = null }
}

resource "aws_db_subnet_group" "bank" {
  name        = var.name
  description = "Where the bank's database may stand"
  subnet_ids  = values(var.network.subnets)
}

resource "aws_db_parameter_group" "bank" {
  name_prefix = "${var.name}-"
  family      = local.engine.family
  description = "Durable commits, TLS only, strict SQL"

  dynamic "parameter" {
    for_each = local.settings
    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = contains(local.engine.restarts, parameter.key) ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "bank" {
  identifier     = var.name
  engine         = local.is_primary ? var.engine : null
  engine_version = local.is_primary ? local.engine.version : null
  instance_class = var.size.instance_class

  db_name             = local.login.database
  username            = local.login.user
  password_wo         = local.is_primary ? var.password : null
  password_wo_version = local.is_primary ? var.password_version : null
  replicate_source_db = var.replicate_source_arn

  allocated_storage     = local.is_primary ? var.size.storage_gib : null
  max_allocated_storage = var.size.max_storage_gib
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = var.keys.storage_arn

  port                   = local.engine.port
  multi_az               = var.size.multi_az
  publicly_accessible    = false
  db_subnet_group_name   = aws_db_subnet_group.bank.name
  vpc_security_group_ids = [var.network.security_group_id]
  parameter_group_name   = aws_db_parameter_group.bank.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  # The replica keeps backups as well: it may have to be the primary.
  backup_retention_period   = var.backups.days
  backup_window             = var.backups.window
  copy_tags_to_snapshot     = true
  delete_automated_backups  = false
  skip_final_snapshot       = !var.backups.final_snapshot
  final_snapshot_identifier = var.backups.final_snapshot ? "${var.name}-final" : null
  deletion_protection       = var.deletion_protection

  auto_minor_version_upgrade          = true
  maintenance_window                  = "sun:08:30-sun:09:30"
  iam_database_authentication_enabled = false
  enabled_cloudwatch_logs_exports     = local.engine.logs

  monitoring_interval                   = var.monitoring.interval_seconds
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = var.keys.storage_arn
  performance_insights_retention_period = var.monitoring.insights_days

  # What the database logs goes to groups of ours, which encrypt and forget.
  depends_on = [aws_cloudwatch_log_group.database]

  lifecycle {
    precondition {
      condition     = !(local.is_primary && var.password_version < 1)
      error_message = "A primary needs password_version 1 or more, and a password."
    }
  }
}

resource "aws_cloudwatch_log_group" "database" {
  for_each = toset(local.engine.logs)

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = 90
  kms_key_id        = var.keys.logs_arn
}

data "aws_iam_policy_document" "monitoring_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

data "aws_partition" "here" {}

resource "aws_iam_role" "monitoring" {
  name               = "${var.name}-database-monitoring"
  assume_role_policy = data.aws_iam_policy_document.monitoring_assume.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
