"""StackPlan -> documents for Amazon ECS on Fargate, and the script that hands them to the AWS CLI."""
