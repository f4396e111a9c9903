# Each region is asked by a name of its own, which always leads to that region.
resource "aws_route53_record" "region" {
  for_each = var.regions

  zone_id = var.zone_id
  name    = "${each.key}.${var.domain}"
  type    = "A"

  alias {
    name                   = each.value.name
    zone_id                = each.value.zone_id
    evaluate_target_health = false
  }
}

# Can the region serve pages? Decides where customers are sent.
resource "aws_route53_health_check" "serves" {
  for_each = var.regions

  fqdn              = "${each.key}.${var.domain}"
  type              = "HTTPS"
  port              = 443
  resource_path     = var.health.path
  request_interval  = var.health.interval_seconds
  failure_threshold = var.health.failures
  enable_sni        = true
  tags              = { Name = "${var.domain} ${each.key} serves pages" }
}

# Does the region take payments? For alarms alone: all regions write to the same primary.
resource "aws_route53_health_check" "writes" {
  for_each = var.regions

  fqdn              = "${each.key}.${var.domain}"
  type              = "HTTPS"
  port              = 443
  resource_path     = "/writable"
  request_interval  = 30
  failure_threshold = 2
  enable_sni        = true
  tags              = { Name = "${var.domain} ${each.key} takes payments" }
}

# The nearer region that serves; AAAA is left out, as the networks have no IPv6.
resource "aws_route53_record" "bank" {
  for_each = var.regions

  zone_id         = var.zone_id
  name            = var.domain
  type            = "A"
  set_identifier  = each.key
  health_check_id = aws_route53_health_check.serves[each.key].id

  latency_routing_policy {
    region = each.key
  }

  alias {
    name                   = each.value.name
    zone_id                = each.value.zone_id
    evaluate_target_health = true
  }
}

# Only Amazon's authority may make certificates for the bank.
resource "aws_route53_record" "authority" {
  zone_id = var.zone_id
  name    = var.domain
  type    = "CAA"
  ttl     = 3600
  records = ["0 issue \"amazon.com\"", "0 issuewild \";\""]
}
