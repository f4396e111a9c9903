locals {
  engines = {
    postgres = {
      version = "16"
      family  = "postgres16"
      port    = 5432
      logs    = ["postgresql", "upgrade"]
      file    = "postgresql.json"
    }
    mysql = {
      version = "8.4"
      family  = "mysql8.4"
      port    = 3306
      logs    = ["error", "slowquery"]
      file    = "mysql.json"
    }
  }
  engine = local.engines[var.engine]
  # The file that the tests' own servers are started with, and what only RDS knows.
  parameters = jsondecode(file("${path.module}/parameters/${local.engine.file}"))
  settings   = merge({ for name, value in local.parameters : name => value if name != "rds_only" }, local.parameters.rds_only)
  is_primary = var.role == "primary"
  # AWS refuses Performance Insights on MySQL's smallest classes.
  # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DatabaseInsights.Engines.html
  insights = var.engine == "postgres" || !can(regex("^db\\.t(2|3|4g)\\.(micro|small)$", var.size.instance_class))
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
      name  = parameter.key
      value = parameter.value
      # A new database starts with them all; a later change waits for its next restart. "immediate" would be refused for
      # those that only a start reads, and show as a change in every plan for those that RDS has by itself.
      apply_method = "pending-reboot"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "primary" {
  count = local.is_primary ? 1 : 0

  identifier     = var.name
  engine         = var.engine
  engine_version = local.engine.version
  instance_class = var.size.instance_class

  db_name             = "bank"
  username            = "bank_owner"
  password_wo         = var.password
  password_wo_version = var.password_version

  allocated_storage     = var.size.storage_gib
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

  backup_retention_period   = var.backups.days
  backup_window             = var.backups.window
  copy_tags_to_snapshot     = true
  delete_automated_backups  = !var.backups.final_snapshot
  skip_final_snapshot       = !var.backups.final_snapshot
  final_snapshot_identifier = var.backups.final_snapshot ? "${var.name}-final" : null
  deletion_protection       = var.deletion_protection

  auto_minor_version_upgrade          = true
  maintenance_window                  = "sun:08:30-sun:09:30"
  iam_database_authentication_enabled = false
  enabled_cloudwatch_logs_exports     = local.engine.logs

  monitoring_interval                   = var.monitoring.interval_seconds
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  performance_insights_enabled          = local.insights
  performance_insights_kms_key_id       = local.insights ? var.keys.storage_arn : null
  performance_insights_retention_period = local.insights ? var.monitoring.insights_days : null

  # What the database logs goes to groups of ours, which encrypt and forget; and what watches it needs its rights first.
  depends_on = [aws_cloudwatch_log_group.database, aws_iam_role_policy_attachment.monitoring]

  # A creation that Terraform gives up is one that it begins anew, and deletion protection refuses that.
  timeouts {
    create = "2h"
    update = "2h"
  }

  lifecycle {
    precondition {
      condition     = var.password_version >= 1
      error_message = "A primary needs password_version 1 or more, and a password."
    }
  }
}

# A replica has its primary's engine, user, password and database, and AWS refuses to be told them again. All else it
# is told as well, down to its own backups and standby: it may have to be the primary.
resource "aws_db_instance" "replica" {
  count = local.is_primary ? 0 : 1

  identifier          = var.name
  replicate_source_db = var.replicate_source_arn
  instance_class      = var.size.instance_class

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

  backup_retention_period  = var.backups.days
  backup_window            = var.backups.window
  copy_tags_to_snapshot    = true
  delete_automated_backups = !var.backups.final_snapshot
  skip_final_snapshot      = true
  deletion_protection      = var.deletion_protection

  auto_minor_version_upgrade          = true
  maintenance_window                  = "sun:10:30-sun:11:30"
  iam_database_authentication_enabled = false
  enabled_cloudwatch_logs_exports     = local.engine.logs

  monitoring_interval                   = var.monitoring.interval_seconds
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  performance_insights_enabled          = local.insights
  performance_insights_kms_key_id       = local.insights ? var.keys.storage_arn : null
  performance_insights_retention_period = local.insights ? var.monitoring.insights_days : null

  depends_on = [aws_cloudwatch_log_group.database, aws_iam_role_policy_attachment.monitoring]

  # The copy to this region, the standby and a restart with our parameters, one after the other.
  timeouts {
    create = "3h"
    update = "2h"
  }
}

# The primary's backups and its logs for point-in-time recovery, copied here: they outlive its region, and reach back
# to before a mistake, which a replica repeats at once.
resource "aws_db_instance_automated_backups_replication" "here" {
  count = local.is_primary ? 0 : 1

  source_db_instance_arn = var.replicate_source_arn
  kms_key_id             = var.keys.storage_arn
  retention_period       = var.backups.days

  # Both begin with a snapshot of the primary, and AWS refuses the one that finds it busy with the other.
  depends_on = [aws_db_instance.replica]
}

locals {
  # Whichever of the two this region has.
  bank = local.is_primary ? aws_db_instance.primary[0] : aws_db_instance.replica[0]
}

resource "aws_cloudwatch_log_group" "database" {
  for_each = toset(local.engine.logs)

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = var.monitoring.log_days
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
  name                 = "${var.name}-database-monitoring"
  assume_role_policy   = data.aws_iam_policy_document.monitoring_assume.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
