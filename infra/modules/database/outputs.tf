output "address" {
  description = "The host that the application connects to."
  value       = local.bank.address
}

output "port" {
  description = "5432 or 3306."
  value       = local.engine.port
}

output "primary_arn" {
  description = "What the other region's replica follows; null where this is the replica itself."
  value       = one(aws_db_instance.primary[*].arn)
}

output "identifier" {
  description = "What CloudWatch calls the database."
  value       = local.bank.identifier
}
