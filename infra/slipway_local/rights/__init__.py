"""Decides rights on the local AWS as AWS does: the caller, the IAM actions, and whether the policies allow them.

`layer.through_rights` goes around the local AWS; `local_authorizer.local_authorizer` makes what it asks. The way of a
request: `signature` and `identities` (who), `wire` (which call), `actions` (what it needs), `decisions` (may he),
`answers` (how he is refused), `usage` (what was used).

What AWS decides and this does not: policies of an organization and of VPC endpoints; KMS grants; ACLs of buckets;
DeleteObjects is refused as a whole, where AWS refuses key by key; the chunks of a streamed upload to S3 are not checked
against their signatures; service-linked roles are taken to exist. Requests count as made over TLS
(`aws:SecureTransport`), for on AWS they are.
"""
