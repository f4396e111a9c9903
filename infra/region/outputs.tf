output "network" {
  description = "What the peering needs: the network, its addresses, its route tables."
  value = {
    vpc_id       = module.network.vpc_id
    cidr         = module.network.cidr
    route_tables = module.network.route_tables
  }
}

output "private_cidrs" {
  description = "The private subnets' addresses by zone: whom the other region's database lets in."
  value       = module.network.private_cidrs
}

output "database_cidrs" {
  description = "The database subnets' addresses by zone: where the other region's servers find the primary."
  value       = module.network.database_cidrs
}

output "load_balancer" {
  description = "Where the region's DNS records lead."
  value       = module.alb.dns
}

output "primary_arn" {
  description = "What the other region's replica follows; null where this is the replica."
  value       = module.database.primary_arn
}

output "database_address" {
  description = "The host of this region's database."
  value       = module.database.address
}

output "topic_arn" {
  description = "Where this region's alarms go."
  value       = module.observability.topic_arn
}

output "deployment" {
  description = "What the deployment needs to know of this region."
  value = {
    url             = "https://${local.address}"
    artifacts       = aws_s3_bucket.artifacts.id
    group           = module.app.group
    launch_template = module.app.launch_template
    job             = module.app.job
    roll_out        = module.app.roll_out
    dashboard_url   = module.observability.dashboard_url
    image           = module.app.image_id
  }
}
