resource "aws_internet_gateway" "bank" {
  vpc_id = aws_vpc.bank.id
  tags   = { Name = var.name }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.bank.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.bank.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  domain = "vpc"
  tags   = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "bank" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }

  # Without a way out the gateway comes up and carries nothing.
  depends_on = [aws_route.internet]
}

# One table a zone, so that the loss of a zone takes only its own way out.
resource "aws_route_table" "private" {
  for_each = var.zones

  vpc_id = aws_vpc.bank.id
  tags   = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "out" {
  for_each = var.nat == "none" ? {} : var.zones

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.bank[var.nat == "single" ? local.first_zone : each.key].id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

# Databases answer; they call nobody, so there is no way out of here.
resource "aws_route_table" "database" {
  vpc_id = aws_vpc.bank.id
  tags   = { Name = "${var.name}-database" }
}

resource "aws_route_table_association" "database" {
  for_each = aws_subnet.database

  subnet_id      = each.value.id
  route_table_id = aws_route_table.database.id
}
