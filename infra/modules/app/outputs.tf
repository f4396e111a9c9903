output "group" {
  description = "The auto scaling group's name, once its hooks stand."
  value       = aws_autoscaling_group.app.name
  depends_on  = [aws_autoscaling_lifecycle_hook.ready, aws_autoscaling_lifecycle_hook.drain]
}

output "launch_template" {
  description = "What the pipeline rolls out: the template, and the version that carries the release."
  value       = { id = aws_launch_template.app.id, version = aws_launch_template.app.latest_version }
}

output "job" {
  description = "How a job is run: the template and its version, a subnet for it, the parameters under which it says how it ended."
  value = {
    launch_template = { id = aws_launch_template.job.id, version = aws_launch_template.job.latest_version }
    subnet          = values(var.network.subnets)[0]
    parameters      = local.job.JOB_RESULTS
  }
  depends_on = [aws_iam_role_policy.server]
}

output "roll_out" {
  description = "How servers are replaced, and which alarms take that back."
  value       = merge(var.roll_out, { alarms = var.rollback_alarms })
}

output "roles" {
  description = "ARNs of the servers' role (app) and of the jobs' (job), which the pipeline has to pass on."
  value       = { for name, role in aws_iam_role.server : name => role.arn }
}

output "image_id" {
  description = "The machine image that servers are made from."
  value       = local.image_id
}
