data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

locals {
  image_id = coalesce(var.image_id, nonsensitive(data.aws_ssm_parameter.image.value))
}

# It carries the release: each apply with another one makes a new version, and the pipeline rolls that out.
resource "aws_launch_template" "app" {
  name                   = var.name
  description            = "The bank's servers, release ${var.release.commit}"
  update_default_version = true
  image_id               = local.image_id
  instance_type          = var.size.instance_type
  ebs_optimized          = true
  vpc_security_group_ids = [var.network.security_group_id]
  user_data              = local.user_data.app

  iam_instance_profile {
    name = aws_iam_instance_profile.server["app"].name
  }

  # Version 2 with one hop: neither a forged request nor a container gets at the server's credentials.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_type           = "gp3"
      volume_size           = var.size.disk_gib
      encrypted             = true
      delete_on_termination = true
    }
  }

  # Target tracking on figures of five minutes would come too late.
  monitoring {
    enabled = true
  }

  lifecycle {
    precondition {
      condition     = length(local.user_data.app) <= 21848
      error_message = "The user data is over 16 KiB, which AWS refuses."
    }
  }
}

resource "aws_autoscaling_group" "app" {
  name                      = var.name
  min_size                  = var.size.least
  max_size                  = var.size.most
  vpc_zone_identifier       = values(var.network.subnets)
  target_group_arns         = [var.target_group.arn]
  health_check_type         = "ELB"
  health_check_grace_period = 60
  default_instance_warmup   = var.roll_out.warm_up_seconds
  enabled_metrics           = ["GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances", "GroupTotalInstances"]
  # The first servers wait for the first release, which the pipeline uploads after the apply.
  wait_for_capacity_timeout = "0"

  launch_template {
    id      = aws_launch_template.app.id
    version = aws_launch_template.app.latest_version
  }

  # Whatever replaces a server first brings the new one up, health checks and changes of zone included.
  instance_maintenance_policy {
    min_healthy_percentage = var.roll_out.min_healthy_percent
    max_healthy_percentage = var.roll_out.max_healthy_percent
  }

  tag {
    key                 = "Name"
    value               = var.name
    propagate_at_launch = true
  }
  # The provider's own tags reach neither groups nor their servers, and another environment's deployment knows by this one
  # that they are not its own.
  tag {
    key                 = "Bank"
    value               = var.environment_name
    propagate_at_launch = true
  }

  # The version in force is the pipeline's: it rolls a new one out, and back.
  lifecycle {
    ignore_changes = [launch_template[0].version]
  }
}

# A server serves once it says that it is ready; one that never does is replaced.
resource "aws_autoscaling_lifecycle_hook" "ready" {
  name                   = "ready"
  autoscaling_group_name = aws_autoscaling_group.app.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_LAUNCHING"
  heartbeat_timeout      = 900
  default_result         = "ABANDON"
}

# Long enough to drain and to finish what was begun, which bank.service lets take 100 seconds, and as much again to say so.
resource "aws_autoscaling_lifecycle_hook" "drain" {
  name                   = "drain"
  autoscaling_group_name = aws_autoscaling_group.app.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  heartbeat_timeout      = 180
  default_result         = "CONTINUE"
}

resource "aws_autoscaling_policy" "cpu" {
  name                   = "cpu"
  autoscaling_group_name = aws_autoscaling_group.app.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.size.cpu_percent
    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}

resource "aws_autoscaling_policy" "requests" {
  name                   = "requests"
  autoscaling_group_name = aws_autoscaling_group.app.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.size.requests_per_server
    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = "${var.load_balancer_arn_suffix}/${var.target_group.arn_suffix}"
    }
  }
}
