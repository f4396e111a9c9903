mock_provider "aws" {}

variables {
  domain       = "bank.example.org"
  alternatives = ["us-east-1.bank.example.org"]
  zone_id      = "Z0123456789ABCDEFGHIJ"
}

run "it_names_the_bank_and_the_region_it_stands_in" {
  command = plan
  assert {
    condition     = aws_acm_certificate.bank.domain_name == "bank.example.org" && aws_acm_certificate.bank.subject_alternative_names == toset(["us-east-1.bank.example.org"])
    error_message = "Customers come by the bank's name, health checks by the region's."
  }
}

run "each_name_is_proved_in_the_banks_own_zone" {
  command = plan
  assert {
    condition     = toset(keys(aws_route53_record.proof)) == toset(["bank.example.org", "us-east-1.bank.example.org"]) && alltrue([for record in aws_route53_record.proof : record.zone_id == var.zone_id])
    error_message = "A name without its proof leaves the certificate waiting for ever."
  }
}

run "refuses_a_name_of_somebody_else" {
  command = plan
  variables { alternatives = ["bank.example.com"] }
  expect_failures = [var.alternatives]
}
