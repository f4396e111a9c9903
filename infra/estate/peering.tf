# The two networks as one, for databases only: security groups say who may use it.

resource "aws_vpc_peering_connection" "regions" {
  provider    = aws.east
  vpc_id      = module.east.network.vpc_id
  peer_vpc_id = module.west.network.vpc_id
  peer_region = local.regions.west
  tags        = { Name = local.name }
}

resource "aws_vpc_peering_connection_accepter" "regions" {
  provider                  = aws.west
  vpc_peering_connection_id = aws_vpc_peering_connection.regions.id
  auto_accept               = true
  tags                      = { Name = local.name }
}

resource "aws_route" "east_to_west" {
  provider = aws.east
  for_each = toset(concat(keys(var.networks.east.zones), ["database"]))

  route_table_id            = module.east.network.route_tables[each.key]
  destination_cidr_block    = module.west.network.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.regions.id
}

resource "aws_route" "west_to_east" {
  provider = aws.west
  for_each = toset(concat(keys(var.networks.west.zones), ["database"]))

  route_table_id            = module.west.network.route_tables[each.key]
  destination_cidr_block    = module.east.network.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.regions.id
}
