# A server for one job, like a migration: the deployment starts it with the tags bank:job and bank:job-id, and it ends itself.
resource "aws_launch_template" "job" {
  name                                 = "${var.name}-job"
  description                          = "A server for one job with the rights of the schema's owner, release ${var.release.commit}"
  update_default_version               = true
  image_id                             = local.image_id
  instance_type                        = var.size.instance_type
  ebs_optimized                        = true
  instance_initiated_shutdown_behavior = "terminate"
  vpc_security_group_ids               = [var.network.security_group_id]
  user_data                            = local.user_data.job

  iam_instance_profile {
    name = aws_iam_instance_profile.server["job"].name
  }

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

  monitoring {
    enabled = true
  }

  lifecycle {
    precondition {
      condition     = length(local.user_data.job) <= 21848
      error_message = "The user data is over 16 KiB, which AWS refuses."
    }
  }
}
