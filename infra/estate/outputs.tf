output "address" {
  description = "Where customers find the bank."
  value       = module.dns.address
}

output "deployment" {
  description = "What `make upload`, `migrate`, `roll-out`, `smoke` and `roll-back` need to know."
  value = {
    environment = var.environment
    domain      = var.domain.name
    primary     = var.primary
    release     = var.release
    images      = { us-east-1 = module.east.deployment.image, us-west-2 = module.west.deployment.image }
    regions     = { for side, region in local.regions : region => { east = module.east, west = module.west }[side].deployment }
  }
}
