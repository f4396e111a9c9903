output "state_buckets" {
  description = "By environment: what `terraform init -backend-config=bucket=...` is told."
  value       = { for name, bucket in aws_s3_bucket.state : name => bucket.id }
  depends_on = [
    aws_s3_bucket_policy.state,
    aws_s3_bucket_server_side_encryption_configuration.state,
    aws_s3_bucket_versioning.state,
  ]
}

output "roles" {
  description = "The pipeline's roles by \"<environment>-plan\" and \"<environment>-deploy\", once they may do what they are for."
  value       = { for name, role in aws_iam_role.pipeline : name => role.arn }
  depends_on = [
    aws_iam_role_policy.closed,
    aws_iam_role_policy.deploy,
    aws_iam_role_policy.limits,
    aws_iam_role_policy.state,
    aws_iam_role_policy_attachment.estate,
    aws_iam_role_policy_attachment.read,
  ]
}

output "permissions_boundaries" {
  description = "By environment: what every role of the estate has to carry."
  value       = { for name, policy in aws_iam_policy.boundary : name => policy.arn }
}
