output "vpc_id" {
  description = "The network."
  value       = aws_vpc.bank.id
}

output "cidr" {
  description = "Its addresses."
  value       = aws_vpc.bank.cidr_block
}

output "public_subnets" {
  description = "Ids by zone; a load balancer in them is reached once they lead to the internet."
  value       = { for zone, subnet in aws_subnet.public : zone => subnet.id }
  depends_on  = [aws_route.internet, aws_route_table_association.public]
}

output "private_subnets" {
  description = "Ids by zone; servers in them find packages and AWS once the ways out are there."
  value       = { for zone, subnet in aws_subnet.private : zone => subnet.id }
  depends_on  = [aws_route.out, aws_route_table_association.private, aws_vpc_endpoint.interface, aws_vpc_endpoint.s3]
}

output "private_cidrs" {
  description = "Addresses of the private subnets by zone: what the other region's database lets in."
  value       = local.subnets.private
}

output "database_cidrs" {
  description = "Addresses of the database subnets by zone: where the other region's servers find the primary."
  value       = local.subnets.database
}

output "database_subnets" {
  description = "Ids by zone."
  value       = { for zone, subnet in aws_subnet.database : zone => subnet.id }
  depends_on  = [aws_route_table_association.database]
}

output "route_tables" {
  description = "What a peering adds its route to: private tables by zone, and the databases' own."
  value       = merge({ for zone, table in aws_route_table.private : zone => table.id }, { database = aws_route_table.database.id })
}
