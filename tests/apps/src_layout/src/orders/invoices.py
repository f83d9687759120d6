"""Invoices are made elsewhere; this gives out links to them."""

import os

import boto3


def link(number: int) -> str:
    client = boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
    place = {"Bucket": os.environ["INVOICES_BUCKET"], "Key": f"{number}.pdf"}
    return client.generate_presigned_url("get_object", Params=place, ExpiresIn=300)
