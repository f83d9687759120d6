"""Calls of a deploy's hooks, each by the IAM action that it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CALLS: dict[str, Callable[[Callable[[str], Any], dict[str, Any]], Any]] = {
    "cloudwatch:DescribeAlarms": lambda aws, _: aws("cloudwatch").describe_alarms(),
    "ec2:DescribeSecurityGroupRules": lambda aws, _: aws("ec2").describe_security_group_rules(),
    "ec2:DescribeSubnets": lambda aws, _: aws("ec2").describe_subnets(),
    "ecr:DescribeImages": lambda aws, o: aws("ecr").describe_images(repositoryName=o["repository"]),
    "ecr:BatchGetImage": lambda aws, o: aws("ecr").batch_get_image(
        repositoryName=o["repository"], imageIds=[{"imageDigest": o["imageDigest"]}]
    ),
    "ecr:GetAuthorizationToken": lambda aws, _: aws("ecr").get_authorization_token(),
    "ecr:InitiateLayerUpload": lambda aws, o: aws("ecr").initiate_layer_upload(repositoryName=o["repository"]),
    "ecs:DescribeServices": lambda aws, o: aws("ecs").describe_services(cluster=o["cluster"], services=[o["service"]]),
    "ecs:DescribeTaskDefinition": lambda aws, _: aws("ecs").describe_task_definition(
        taskDefinition="slipway-staging-web"
    ),
    "ecs:ListClusters": lambda aws, _: aws("ecs").list_clusters(),
    "ecs:ListServiceDeployments": lambda aws, o: aws("ecs").list_service_deployments(
        cluster=o["cluster"], service=o["service"]
    ),
    "ecs:ListTaskDefinitions": lambda aws, _: aws("ecs").list_task_definitions(),
    "ecs:ListTasks": lambda aws, o: aws("ecs").list_tasks(cluster=o["cluster"]),
    "elasticloadbalancing:DescribeLoadBalancerAttributes": lambda aws, o: aws(
        "elbv2"
    ).describe_load_balancer_attributes(LoadBalancerArn=o["loadBalancer"]),
    "elasticloadbalancing:DescribeTargetGroupAttributes": lambda aws, o: aws("elbv2").describe_target_group_attributes(
        TargetGroupArn=o["targetGroup"]
    ),
    "elasticloadbalancing:DescribeTargetHealth": lambda aws, o: aws("elbv2").describe_target_health(
        TargetGroupArn=o["targetGroup"]
    ),
    "sqs:GetQueueAttributes": lambda aws, o: aws("sqs").get_queue_attributes(QueueUrl=o["queue"]),
    "elasticloadbalancing:DescribeLoadBalancers": lambda aws, _: aws("elbv2").describe_load_balancers(),
    "elasticloadbalancing:DescribeRules": lambda aws, o: aws("elbv2").describe_rules(ListenerArn=o["listener"]),
    "elasticloadbalancing:DescribeTargetGroups": lambda aws, _: aws("elbv2").describe_target_groups(),
    "logs:GetLogEvents": lambda aws, o: aws("logs").get_log_events(logGroupName=o["log"], logStreamName=o["stream"]),
    "s3:GetObject": lambda aws, o: aws("s3").get_object(Bucket=o["bucket"], Key=".pulumi/stacks/slipway/staging.json"),
    "s3:ListBucket": lambda aws, o: aws("s3").list_objects_v2(Bucket=o["bucket"], Prefix=".pulumi/"),
    "secretsmanager:GetRandomPassword": lambda aws, _: aws("secretsmanager").get_random_password(),
    "servicequotas:GetServiceQuota": lambda aws, _: aws("service-quotas").get_service_quota(
        ServiceCode="fargate", QuotaCode="L-3032A538"
    ),
    "tag:GetResources": lambda aws, _: aws("resourcegroupstaggingapi").get_resources(),
}
"""Action -> a call of a deploy's hooks that needs it: it is allowed, and refused by its name once it was taken away."""
