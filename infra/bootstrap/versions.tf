terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

# No tag Bank: what has one belongs to an environment, and its deployments may change it.
provider "aws" {
  region = "us-east-1"
  default_tags { tags = { ManagedBy = "terraform" } }
}
