# Who may talk to whom: world -> load balancer -> application -> database, and nothing else.

resource "aws_security_group" "alb" {
  name        = "${var.name}-alb"
  description = "The load balancer: the only thing that the world reaches"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-alb" }
}

resource "aws_security_group" "app" {
  name        = "${var.name}-app"
  description = "Application servers: reached by the load balancer alone"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-app" }
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "The database: reached by application servers alone"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-database" }
}

# 80 only answers that it is 443.
resource "aws_vpc_security_group_ingress_rule" "world" {
  for_each = { http = 80, https = 443 }

  security_group_id = aws_security_group.alb.id
  description       = "${upper(each.key)} from anywhere"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_vpc_security_group_egress_rule" "alb_to_app" {
  security_group_id            = aws_security_group.alb.id
  description                  = "Requests and health checks to the application"
  referenced_security_group_id = aws_security_group.app.id
  ip_protocol                  = "tcp"
  from_port                    = var.ports.app
  to_port                      = var.ports.app
}

resource "aws_vpc_security_group_ingress_rule" "app_from_alb" {
  security_group_id            = aws_security_group.app.id
  description                  = "Requests and health checks from the load balancer"
  referenced_security_group_id = aws_security_group.alb.id
  ip_protocol                  = "tcp"
  from_port                    = var.ports.app
  to_port                      = var.ports.app
}

# Packages, AWS itself (the endpoints are addresses of this network) and the artifact bucket.
resource "aws_vpc_security_group_egress_rule" "app_https" {
  security_group_id = aws_security_group.app.id
  description       = "TLS to AWS and package mirrors"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "app_to_database" {
  security_group_id            = aws_security_group.app.id
  description                  = "The database of this region"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = var.ports.database
  to_port                      = var.ports.database
}

resource "aws_vpc_security_group_egress_rule" "app_to_peer_database" {
  for_each = var.peer_database_cidrs

  security_group_id = aws_security_group.app.id
  description       = "The database of the other region, in ${each.key}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = var.ports.database
  to_port           = var.ports.database
}

resource "aws_vpc_security_group_ingress_rule" "database_from_app" {
  security_group_id            = aws_security_group.database.id
  description                  = "Application servers of this region"
  referenced_security_group_id = aws_security_group.app.id
  ip_protocol                  = "tcp"
  from_port                    = var.ports.database
  to_port                      = var.ports.database
}

resource "aws_vpc_security_group_ingress_rule" "database_from_peer" {
  for_each = var.peer_private_cidrs

  security_group_id = aws_security_group.database.id
  description       = "Application servers of the other region, in ${each.key}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = var.ports.database
  to_port           = var.ports.database
}
