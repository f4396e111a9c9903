# Keyed by the names themselves: what AWS asks to be proved is known only after the certificate is asked for.
locals {
  names = toset(concat([var.domain], tolist(var.alternatives)))
  proofs = {
    for name in local.names : name => one([
      for proof in aws_acm_certificate.bank.domain_validation_options : proof if proof.domain_name == name
    ])
  }
}

resource "aws_acm_certificate" "bank" {
  domain_name               = var.domain
  subject_alternative_names = var.alternatives
  validation_method         = "DNS"
  key_algorithm             = "EC_prime256v1"
  tags                      = { Name = var.domain }

  lifecycle {
    create_before_destroy = true
  }
}

# The proof of the domain is the same record for the certificates of all regions, so each may find it there.
resource "aws_route53_record" "proof" {
  for_each = local.names

  zone_id         = var.zone_id
  name            = local.proofs[each.key].resource_record_name
  type            = local.proofs[each.key].resource_record_type
  records         = [local.proofs[each.key].resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "bank" {
  certificate_arn         = aws_acm_certificate.bank.arn
  validation_record_fqdns = [for record in aws_route53_record.proof : record.fqdn]
}
