# One Jenkins. The host can be thrown away; the volume with its home outlives it.

data "aws_iam_policy_document" "controller" {
  statement {
    sid       = "ItsSecrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [for name in keys(local.secrets) : "${local.arn}:secretsmanager:${local.region}:${local.account}:secret:${var.name}/${name}-??????"]
  }
  statement {
    sid       = "ItsAgentsKeys"
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
    resources = ["${local.arn}:secretsmanager:${local.region}:${local.account}:secret:${var.name}/agent-*"]
  }
  statement {
    sid       = "TheKeyOfSecrets"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.key_arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${local.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "controller" {
  name   = "secrets"
  role   = aws_iam_role.host["controller"].id
  policy = data.aws_iam_policy_document.controller.json
}

resource "aws_instance" "controller" {
  ami                     = local.image
  instance_type           = var.controller.instance_type
  subnet_id               = var.network.subnets[local.zone]
  vpc_security_group_ids  = [aws_security_group.controller.id]
  iam_instance_profile    = aws_iam_instance_profile.host["controller"].name
  disable_api_termination = var.protected
  monitoring              = true
  ebs_optimized           = true

  user_data_base64            = base64gzip(local.cloud_config["controller"])
  user_data_replace_on_change = true

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_size = var.controller.disk_gib
    volume_type = "gp3"
    encrypted   = true
  }

  tags = { Name = "${var.name}-controller" }

  # A new image is taken when somebody replaces the host, and not whenever Debian publishes one.
  lifecycle {
    ignore_changes = [ami]
  }

  depends_on = [aws_iam_role_policy.base, aws_iam_role_policy.controller, aws_cloudwatch_log_group.host]
}

resource "aws_ebs_volume" "home" {
  availability_zone = local.zone
  size              = var.controller.home_gib
  type              = "gp3"
  encrypted         = true
  kms_key_id        = var.key_arn
  final_snapshot    = var.protected
  tags              = { Name = "${var.name}-home", Backup = "${var.name}-home" }
}

resource "aws_volume_attachment" "home" {
  device_name                    = "/dev/sdf"
  instance_id                    = aws_instance.controller.id
  volume_id                      = aws_ebs_volume.home.id
  stop_instance_before_detaching = true
}

resource "aws_route53_zone" "internal" {
  name          = local.domain
  comment       = "How the agents find Jenkins, whichever host it is on"
  force_destroy = true

  vpc {
    vpc_id = var.network.vpc_id
  }
}

resource "aws_route53_record" "controller" {
  zone_id = aws_route53_zone.internal.zone_id
  name    = "jenkins.${local.domain}"
  type    = "A"
  ttl     = 30
  records = [aws_instance.controller.private_ip]
}

# --- its backup ---------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "backup_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["dlm.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "backup" {
  statement {
    sid       = "LookAtVolumes"
    actions   = ["ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"]
    resources = ["*"]
  }
  statement {
    sid       = "SnapshotsOfTheHome"
    actions   = ["ec2:CreateSnapshot", "ec2:CreateTags", "ec2:DeleteSnapshot"]
    resources = ["${local.arn}:ec2:${local.region}::snapshot/*", "${local.arn}:ec2:${local.region}:${local.account}:volume/*"]
  }
}

resource "aws_iam_role" "backup" {
  count = var.protected ? 1 : 0

  name               = "${var.name}-backup"
  assume_role_policy = data.aws_iam_policy_document.backup_assume.json
}

resource "aws_iam_role_policy" "backup" {
  count = var.protected ? 1 : 0

  name   = "snapshots"
  role   = aws_iam_role.backup[0].id
  policy = data.aws_iam_policy_document.backup.json
}

resource "aws_dlm_lifecycle_policy" "home" {
  count = var.protected ? 1 : 0

  description        = "Daily snapshots of the home of Jenkins"
  execution_role_arn = aws_iam_role.backup[0].arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["VOLUME"]
    target_tags    = { Backup = "${var.name}-home" }

    schedule {
      name      = "daily"
      copy_tags = true
      create_rule {
        interval      = 24
        interval_unit = "HOURS"
        times         = ["03:00"]
      }
      retain_rule {
        interval      = var.backup_days
        interval_unit = "DAYS"
      }
    }
  }
}
