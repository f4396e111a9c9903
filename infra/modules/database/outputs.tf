output "address" {
  description = "The host that the application connects to."
  value       = aws_db_instance.bank.address
}

output "port" {
  description = "5432 or 3306."
  value       = local.engine.port
}

output "arn" {
  description = "What the other region's replica follows."
  value       = aws_db_instance.bank.arn
}

output "identifier" {
  description = "What CloudWatch calls the database."
  value       = aws_db_instance.bank.identifier
}
