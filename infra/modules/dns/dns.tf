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

locals {
  questions = {
    serves = { path = "/readyz", inverted = false, means = "serves pages" }
    writes = { path = "/writable", inverted = false, means = "takes payments" }
    closed = { path = "/writable", inverted = true, means = "takes no payments" }
  }
  asked = { for pair in setproduct(keys(var.regions), keys(local.questions)) : join(" ", pair) => merge(local.questions[pair[1]], { region = pair[0] }) }
  other = { for region in keys(var.regions) : region => one(setsubtract(keys(var.regions), [region])) }
}

# What each region is asked from outside; also what is inverted asks, for a region that does not answer takes no payments.
resource "aws_route53_health_check" "asked" {
  for_each = local.asked

  fqdn               = "${each.value.region}.${var.domain}"
  type               = "HTTPS"
  port               = 443
  resource_path      = each.value.path
  request_interval   = var.health.interval_seconds
  failure_threshold  = var.health.failures
  invert_healthcheck = each.value.inverted
  enable_sni         = true
  tags               = { Name = "${var.domain} ${each.value.region} ${each.value.means}" }
}

# Should customers be sent to the region? If two of three say so: it serves pages, it takes payments, the other takes none.
resource "aws_route53_health_check" "region" {
  for_each = var.regions

  type                   = "CALCULATED"
  child_health_threshold = 2
  child_healthchecks = [
    for question in ["${each.key} serves", "${each.key} writes", "${local.other[each.key]} closed"] :
    aws_route53_health_check.asked[question].id
  ]
  tags = { Name = "${var.domain} ${each.key} gets customers" }
}

# AAAA is left out, as the networks have no IPv6.
resource "aws_route53_record" "bank" {
  for_each = var.regions

  zone_id         = var.zone_id
  name            = var.domain
  type            = "A"
  set_identifier  = each.key
  health_check_id = aws_route53_health_check.region[each.key].id

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
