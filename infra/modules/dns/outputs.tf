output "address" {
  description = "Where the bank is, once its records stand."
  value       = "https://${var.domain}"
  depends_on  = [aws_route53_record.bank]
}

output "health_checks" {
  description = "Ids by region: whether it serves pages, whether it takes payments."
  value = {
    for region in keys(var.regions) : region => {
      serves = aws_route53_health_check.asked["${region} serves"].id
      writes = aws_route53_health_check.asked["${region} writes"].id
    }
  }
}
