output "alb" {
  description = "The load balancer's group, once the world and the application are let through."
  value       = aws_security_group.alb.id
  depends_on  = [aws_vpc_security_group_ingress_rule.world, aws_vpc_security_group_egress_rule.alb_to_app]
}

output "app" {
  description = "The application servers' group, once its rules stand."
  value       = aws_security_group.app.id
  depends_on = [
    aws_vpc_security_group_ingress_rule.app_from_alb,
    aws_vpc_security_group_egress_rule.app_https,
    aws_vpc_security_group_egress_rule.app_to_database,
    aws_vpc_security_group_egress_rule.app_to_peer_database,
  ]
}

output "database" {
  description = "The database's group, once the application is let through."
  value       = aws_security_group.database.id
  depends_on = [
    aws_vpc_security_group_ingress_rule.database_from_app,
    aws_vpc_security_group_ingress_rule.database_from_peer,
  ]
}
