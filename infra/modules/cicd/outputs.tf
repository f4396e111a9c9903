output "controller" {
  description = "The controller's instance: what a Session Manager session is started with."
  value       = aws_instance.controller.id
  depends_on  = [aws_volume_attachment.home]
}

output "agent_roles" {
  description = "The agents' roles by label (ARNs): who may take the pipeline's roles."
  value       = { for label in local.labels : label => aws_iam_role.host[label].arn }
}

output "secrets" {
  description = "What waits for a value: names of secrets, and whether Jenkins starts without it."
  value       = { for name, secret in local.secrets : aws_secretsmanager_secret.jenkins[name].name => secret.required ? "required" : "optional" }
}

output "home" {
  description = "The volume that holds Jenkins' home."
  value       = aws_ebs_volume.home.id
}
