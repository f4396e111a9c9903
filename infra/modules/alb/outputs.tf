output "arn_suffix" {
  description = "What CloudWatch calls the load balancer."
  value       = aws_lb.bank.arn_suffix
}

output "dns" {
  description = "Where a latency record points: the load balancer's own name and zone, once it answers on 443."
  value       = { name = aws_lb.bank.dns_name, zone_id = aws_lb.bank.zone_id }
  depends_on  = [aws_lb_listener.https, aws_wafv2_web_acl_association.bank]
}

output "target_group" {
  description = "Where servers register, once the listener sends requests there."
  value       = { arn = aws_lb_target_group.app.arn, arn_suffix = aws_lb_target_group.app.arn_suffix }
  depends_on  = [aws_lb_listener.https]
}
