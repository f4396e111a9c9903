output "address" {
  description = "Where customers find the bank."
  value       = module.estate.address
}

output "deployment" {
  description = "What the deployment needs to know; `make apply` writes it to build/deployment."
  value       = module.estate.deployment
}
