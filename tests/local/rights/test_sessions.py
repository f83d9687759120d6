"""Sessions of roles: AssumeRole, web identity tokens, task credentials; across accounts; keys that end."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import ContainerMetadataFetcher, ContainerProvider
from cryptography.hazmat.primitives.asymmetric import rsa

from slipway_local.rights.aws_state import Credentials, Identity
from slipway_local.rights.identities import Identities, IdentityError
from slipway_local.rights.task_credentials import TaskCredentials
from slipway_local.rights.wire import HttpRequest
from tests.local.rights.conftest import HOST, ISSUER, Issuer, LocalAws, person
from tests.local.rights.fakes import ACCOUNT, FakeState, allow, policy
from tests.local.rights.test_layer import refused

Unique = Callable[[str], str]
OTHER = "444455556666"
FORGED_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SUBJECT = "repo:o/r:environment:prod"


@pytest.fixture(scope="module")
def provider(aws: LocalAws) -> Iterator[str]:
    """The issuer, as an identity provider of the account."""
    iam = aws.client("iam")
    arn = iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    yield arn["OpenIDConnectProviderArn"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn["OpenIDConnectProviderArn"])


@pytest.fixture
def job(aws: LocalAws, provider: str, unique: Unique) -> str:
    """A role for jobs of one environment."""
    claims = {"StringEquals": {f"{HOST}:aud": "sts.amazonaws.com", f"{HOST}:sub": SUBJECT}}
    trust = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"}
    return aws.role(unique("job"), allow("s3:ListAllMyBuckets"), trust=[trust | {"Condition": claims}])


def test_a_jobs_token_gives_a_session(aws: LocalAws, issuer: Issuer, job: str) -> None:
    from botocore import UNSIGNED
    from botocore.config import Config

    sts = boto3.client(
        "sts",
        endpoint_url=f"http://127.0.0.1:{aws.port}",
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED),
    )
    given = sts.assume_role_with_web_identity(
        RoleArn=job, RoleSessionName="deploy", WebIdentityToken=issuer.token(), DurationSeconds=900
    )
    assert given["SubjectFromWebIdentityToken"] == SUBJECT
    assert given["Credentials"]["Expiration"].timestamp() == pytest.approx(time.time() + 900, abs=5)
    aws.client("s3", given["Credentials"]).list_buckets()
    assert refused(lambda: aws.client("iam", given["Credentials"]).list_roles())[0] == "AccessDenied"
    who = aws.client("sts", given["Credentials"]).get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::000000000000:assumed-role/{job.rpartition('/')[2]}/deploy"


@pytest.mark.parametrize(
    ("claims", "code", "status", "words"),
    [
        ({"sub": "repo:o/r:environment:staging"}, "AccessDenied", 403, "Not authorized to perform"),
        ({"sub": "repo:fork/r:environment:prod"}, "AccessDenied", 403, "Not authorized to perform"),
        ({"aud": "https://github.com/o"}, "InvalidIdentityToken", 400, "Incorrect token audience"),
        ({"exp": 1}, "ExpiredTokenException", 400, "Token expired"),
        ({"iss": "https://evil.example"}, "InvalidIdentityToken", 400, "No OpenIDConnect provider found"),
        ({"key": FORGED_KEY}, "InvalidIdentityToken", 400, "Signature"),
    ],
)
def test_another_token_does_not(
    aws: LocalAws, issuer: Issuer, job: str, claims: dict[str, Any], code: str, status: int, words: str
) -> None:
    call = {"RoleArn": job, "RoleSessionName": "deploy", "WebIdentityToken": issuer.token(**claims)}
    got = refused(lambda: aws.client("sts").assume_role_with_web_identity(**call))
    assert (got[0], got[2]) == (code, status)
    assert words in got[1]


def test_nor_a_token_without_a_signature(aws: LocalAws, issuer: Issuer, job: str) -> None:
    header, claims, _ = issuer.token().split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token in (f"{unsigned}.{claims}.", f"{header}.{claims}.", "no token"):
        call = {"RoleArn": job, "RoleSessionName": "deploy", "WebIdentityToken": token}
        assert (
            refused(lambda call=call: aws.client("sts").assume_role_with_web_identity(**call))[0]
            == "InvalidIdentityToken"
        )


def test_a_session_is_no_longer_than_its_role_allows(aws: LocalAws, issuer: Issuer, job: str) -> None:
    call = {"RoleArn": job, "RoleSessionName": "deploy", "WebIdentityToken": issuer.token(), "DurationSeconds": 5400}
    sts = aws.client("sts")
    code, message, _ = refused(lambda: sts.assume_role_with_web_identity(**call))
    assert code == "ValidationError"
    assert message == "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    aws.client("iam").update_role(RoleName=job.rpartition("/")[2], MaxSessionDuration=5400)
    sts.assume_role_with_web_identity(**call)
    unchecked = aws.client("sts", parameter_validation=False)
    assert (
        refused(lambda: unchecked.assume_role_with_web_identity(**call | {"DurationSeconds": 60}))[0]
        == "ValidationError"
    )


def test_the_trust_policy_decides_who_assumes_a_role(aws: LocalAws, unique: Unique, job: str) -> None:
    assert refused(lambda: aws.session(job))[0] == "AccessDenied", "it trusts an issuer, not the account"
    wanted = {"StringEquals": {"sts:ExternalId": "secret"}}
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}, "Action": "sts:AssumeRole"}
    role = aws.role(unique("partner"), trust=[trust | {"Condition": wanted}])
    sts = aws.client("sts", person(OTHER))
    assert refused(lambda: sts.assume_role(RoleArn=role, RoleSessionName="x1"))[0] == "AccessDenied"
    sts.assume_role(RoleArn=role, RoleSessionName="x1", ExternalId="secret")
    assert refused(lambda: sts.assume_role(RoleArn=role + "x", RoleSessionName="x1"))[0] == "AccessDenied"
    chained = aws.role(unique("chained"), allow("sts:AssumeRole", role), account=OTHER)
    by_role = aws.client("sts", aws.session(chained))
    by_role.assume_role(RoleArn=role, RoleSessionName="x1", ExternalId="secret")
    idle = aws.client("sts", aws.session(aws.role(unique("idle"), account=OTHER)))
    assert (
        refused(lambda: idle.assume_role(RoleArn=role, RoleSessionName="x1", ExternalId="secret"))[0] == "AccessDenied"
    )


def test_a_bucket_and_its_key_are_shared_across_accounts(aws: LocalAws, unique: Unique) -> None:
    bucket, role = unique("state"), aws.role(unique("promoter"), allow(["s3:*", "kms:*"]), account=OTHER)
    root = {"AWS": "arn:aws:iam::000000000000:root"}
    key_policy = json.dumps({"Statement": [allow("kms:*", Principal=root)]})
    key = aws.client("kms").create_key(Policy=key_policy)["KeyMetadata"]["Arn"]
    owner = aws.client("s3")
    owner.create_bucket(Bucket=bucket)
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    owner.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [default]})
    owner.put_object(Bucket=bucket, Key="stack.json", Body=b"{}")
    s3 = aws.as_role("s3", role)
    assert "no resource-based policy allows" in refused(lambda: s3.get_object(Bucket=bucket, Key="stack.json"))[1]
    shared = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal={"AWS": role})
    owner.put_bucket_policy(Bucket=bucket, Policy=policy(shared))
    assert f"kms:Decrypt on resource: {key}" in refused(lambda: s3.get_object(Bucket=bucket, Key="stack.json"))[1]
    through_s3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    shared_key = allow("kms:Decrypt", Principal={"AWS": role}, Condition=through_s3)
    aws.client("kms").put_key_policy(
        KeyId=key, PolicyName="default", Policy=policy(allow("kms:*", Principal=root), shared_key)
    )
    assert s3.get_object(Bucket=bucket, Key="stack.json")["Body"].read() == b"{}"
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="stack.json", Body=b""))[0] == "AccessDenied"
    blob = aws.client("kms").encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    kms = aws.as_role("kms", role)
    assert refused(lambda: kms.decrypt(KeyId=key, CiphertextBlob=blob))[0] == "AccessDeniedException", "not through S3"
    shared_key.pop("Condition")
    aws.client("kms").put_key_policy(
        KeyId=key, PolicyName="default", Policy=policy(allow("kms:*", Principal=root), shared_key)
    )
    assert kms.decrypt(KeyId=key, CiphertextBlob=blob)["Plaintext"] == b"secret"
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret", "the ciphertext names its key"


def test_the_person_of_another_account_needs_the_resources_policy_too(aws: LocalAws, unique: Unique) -> None:
    bucket, other = unique("state"), person(OTHER)
    owner, s3 = aws.client("s3"), aws.client("s3", other)
    owner.create_bucket(Bucket=bucket)
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    assert "no resource-based policy allows" in refused(lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"1"))[1]
    assert refused(lambda: aws.client("kms", other).encrypt(KeyId=key, Plaintext=b"1"))[0] == "AccessDeniedException"
    root = {"AWS": f"arn:aws:iam::{OTHER}:root"}
    owner.put_bucket_policy(
        Bucket=bucket,
        Policy=policy(allow("s3:*", [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"], Principal=root)),
    )
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert owner.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_a_key_that_does_not_leave_it_to_its_account_is_closed_to_it(aws: LocalAws, unique: Unique) -> None:
    role = aws.role(unique("keeper"), allow("kms:*"))
    other = aws.role(unique("named"))
    key = aws.client("kms").create_key(Policy=policy(allow("kms:*", Principal={"AWS": other})))["KeyMetadata"]["Arn"]
    message = refused(lambda: aws.as_role("kms", role).describe_key(KeyId=key))[1]
    assert message.endswith("because no resource-based policy allows the kms:DescribeKey action")
    aws.as_role("kms", other).describe_key(KeyId=key)


def test_a_secret_is_read_with_its_key(aws: LocalAws, unique: Unique) -> None:
    root = allow("kms:*", Principal={"AWS": "arn:aws:iam::000000000000:root"})
    key = aws.client("kms").create_key(Policy=policy(root))["KeyMetadata"]["Arn"]
    secret = aws.client("secretsmanager").create_secret(Name=unique("prod/db"), SecretString="s", KmsKeyId=key)["ARN"]
    name = unique("reader")
    reads = aws.as_role(
        "secretsmanager", aws.role(name, allow("secretsmanager:GetSecretValue", f"{secret[:-6]}??????"))
    )
    assert "kms:Decrypt" in refused(lambda: reads.get_secret_value(SecretId=secret))[1]
    document = policy(allow("kms:Decrypt", key))
    aws.client("iam").put_role_policy(RoleName=name, PolicyName="key", PolicyDocument=document)
    assert reads.get_secret_value(SecretId=secret)["SecretString"] == "s"


def test_a_task_gets_its_roles_credentials(aws: LocalAws, unique: Unique, monkeypatch: pytest.MonkeyPatch) -> None:
    role = aws.role(unique("task"), allow("s3:ListAllMyBuckets"))
    connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=60)
    connection.request("GET", f"/_test/task?{role}")
    path = connection.getresponse().read().decode()
    assert path.startswith("/v2/credentials/")
    monkeypatch.setattr(ContainerMetadataFetcher, "IP_ADDRESS", f"127.0.0.1:{aws.port}")
    found = ContainerProvider(environ={"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": path}).load()
    assert found is not None
    frozen = found.get_frozen_credentials()
    given = {"AccessKeyId": frozen.access_key, "SecretAccessKey": frozen.secret_key, "SessionToken": frozen.token}
    aws.client("s3", given).list_buckets()
    who = aws.client("sts", given).get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::000000000000:assumed-role/{role.rpartition('/')[2]}/0123abcd"
    connection.request("GET", "/v2/credentials/guessed")
    assert connection.getresponse().status == 403


def test_the_registrys_password_has_its_roles_rights(aws: LocalAws, unique: Unique) -> None:
    repository = unique("app")
    arn = aws.client("ecr").create_repository(repositoryName=repository)["repository"]["repositoryArn"]
    pulls = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
    role = aws.role(unique("puller"), allow("ecr:GetAuthorizationToken"), allow(pulls, arn))
    token = aws.as_role("ecr", role).get_authorization_token()["authorizationData"][0]["authorizationToken"]

    def status(method: str, path: str, **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=60)
        connection.request(method, f"/v2/{path}", headers=headers or {"Authorization": f"Basic {token}"})
        return connection.getresponse().status

    assert status("GET", "") == 200
    assert status("GET", "", Host=f"127.0.0.1:{aws.port}") == 401, "so that Docker shows its password"
    assert status("GET", "", Host=f"localhost:{aws.port}") == 200, "the person's way, without one"
    assert status("GET", f"{repository}/manifests/latest") == 404, "allowed, but not there"
    assert status("POST", f"{repository}/blobs/uploads/") == 403
    assert status("PUT", f"{repository}/manifests/latest") == 403
    assert status("GET", f"{unique('other')}/manifests/latest") == 403


def test_a_session_that_is_over_is_refused() -> None:
    over = Credentials("ASIA1", "secret", ACCOUNT, "role", f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s", "token", 1.0)
    authorization = (
        "AWS4-HMAC-SHA256 Credential=ASIA1/20261129/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
    )
    headers = {"authorization": authorization, "x-amz-date": "20261129T000000Z", "x-amz-security-token": "token"}
    with pytest.raises(IdentityError) as caught:
        Identities(FakeState(keys={"ASIA1": over})).caller(HttpRequest("GET", "/", {}, headers))
    assert caught.value.code == "ExpiredToken"


def test_a_tasks_credentials_are_renewed_before_they_end() -> None:
    started: list[Credentials] = []

    class Sessions:
        def start_session(self, role: Identity, session_name: str, seconds: int, *_: Any) -> Credentials:
            expiration = time.time() + (600 if not started else seconds)
            key = f"ASIA{len(started)}"
            started.append(Credentials(key, "s", ACCOUNT, "role", role.arn, "t", expiration))
            return started[-1]

    role = f"arn:aws:iam::{ACCOUNT}:role/task"
    tasks = TaskCredentials(FakeState(roles={"task": Identity(role, ACCOUNT)}), Sessions())
    path = tasks.add(role, "arn:aws:ecs:us-east-1:1:task/c/abc")
    keys = [json.loads(tasks.answer(path).body)["AccessKeyId"] for _ in range(3)]
    assert keys == ["ASIA0", "ASIA1", "ASIA1"]
    tasks.remove("arn:aws:ecs:us-east-1:1:task/c/abc")
    assert tasks.answer(path).status == 400


def test_the_log_of_uses_is_read_though_its_last_line_is_cut(tmp_path: Path) -> None:
    from slipway_local.rights.usage import UsageLog, Use, read_uses

    path = tmp_path / "log" / "usage.jsonl"
    log = UsageLog(path)
    use = Use("r", "s3:GetObject", "arn:aws:s3:::b/k", True)
    log.record(use)
    log.record(use)
    log.close()
    path.write_text(path.read_text() + '{"role": "r", "act')
    assert list(read_uses(path)) == [use]
    assert UsageLog(path).uses("r") == [use]
    assert UsageLog(path).uses("other") == []
