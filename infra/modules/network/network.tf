# The address plan of a /16, by a zone's place p (0 to 5):
#   x.y.p.0/24         public: load balancer, NAT
#   x.y.(8+p).0/24     database
#   x.y.(16*(p+1)).0/20 private: application servers, agents
locals {
  tiers = {
    public   = { bits = 8, first = 0 }
    database = { bits = 8, first = 8 }
    private  = { bits = 4, first = 1 }
  }
  subnets = {
    for tier, plan in local.tiers : tier => {
      for zone, place in var.zones : zone => cidrsubnet(var.cidr, plan.bits, plan.first + place)
    }
  }
  # The zone that comes first in the plan has the only NAT where one must do.
  first_zone = one([for zone, place in var.zones : zone if place == min(values(var.zones)...)])
  nat_zones  = { per_zone = keys(var.zones), single = [local.first_zone], none = [] }[var.nat]
}

data "aws_region" "here" {}

resource "aws_vpc" "bank" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# Whatever names no group of its own may talk to nobody.
resource "aws_default_security_group" "closed" {
  vpc_id  = aws_vpc.bank.id
  ingress = []
  egress  = []
  tags    = { Name = "${var.name}-closed" }
}

resource "aws_subnet" "public" {
  for_each = local.subnets.public

  vpc_id                  = aws_vpc.bank.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false
  tags                    = { Name = "${var.name}-public-${each.key}", Tier = "public" }
}

resource "aws_subnet" "private" {
  for_each = local.subnets.private

  vpc_id            = aws_vpc.bank.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = { Name = "${var.name}-private-${each.key}", Tier = "private" }
}

resource "aws_subnet" "database" {
  for_each = local.subnets.database

  vpc_id            = aws_vpc.bank.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = { Name = "${var.name}-database-${each.key}", Tier = "database" }
}
