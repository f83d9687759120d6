"""ECR: repositories and their lifecycle."""

from __future__ import annotations

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list


class Repository(Kind):
    """Its URL is the local registry's: Docker takes `localhost` for one that needs no TLS."""

    type_name = "aws:ecr/repository:Repository"
    inputs = set_of(
        "name imageTagMutability imageScanningConfiguration encryptionConfigurations forceDelete tags tagsAll"
    )
    replace = set_of("name encryptionConfigurations")
    named = ("name", 256)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        name = given["name"]
        encryption = (given.get("encryptionConfigurations") or [None])[0]
        more = {}
        if encryption:
            more["encryptionConfiguration"] = {
                "encryptionType": encryption.get("encryptionType", "AES256"),
                **({"kmsKey": encryption["kmsKey"]} if encryption.get("kmsKey") else {}),
            }
        aws("ecr").create_repository(
            repositoryName=name,
            imageTagMutability=given.get("imageTagMutability", "MUTABLE"),
            imageScanningConfiguration=_scanning(given),
            tags=tag_list(given),
            **more,
        )
        return name, self.read(aws, name, {}) or {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = next((r for r in _repositories(aws) if r["repositoryName"] == id), None)
        return found and {
            "name": id,
            "arn": found["repositoryArn"],
            "registryId": found["registryId"],
            "repositoryUrl": f"localhost:{aws.port}/{id}",
            "imageTagMutability": found.get("imageTagMutability"),
            "imageScanningConfiguration": found.get("imageScanningConfiguration"),
            "encryptionConfigurations": [found["encryptionConfiguration"]],
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        mutability = new.get("imageTagMutability", "MUTABLE")
        aws("ecr").put_image_tag_mutability(repositoryName=id, imageTagMutability=mutability)
        aws("ecr").put_image_scanning_configuration(repositoryName=id, imageScanningConfiguration=_scanning(new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ecr").delete_repository(repositoryName=id, force=bool(known.get("forceDelete")))


def _scanning(given: Properties) -> dict[str, bool]:
    return {"scanOnPush": bool((given.get("imageScanningConfiguration") or {}).get("scanOnPush"))}


def _repositories(aws: Context) -> list[Properties]:
    pages = aws("ecr").get_paginator("describe_repositories").paginate()
    return [repository for page in pages for repository in page["repositories"]]


class LifecyclePolicy(Kind):
    type_name = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    inputs = set_of("repository policy")
    replace = set_of("repository")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        self.update(aws, given["repository"], {}, given)
        return given["repository"], {"registryId": aws.account}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        try:
            found = aws("ecr").get_lifecycle_policy(repositoryName=id)
        except aws("ecr").exceptions.ClientError:
            return None
        return {"repository": id, "policy": found["lifecyclePolicyText"]}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecr").put_lifecycle_policy(repositoryName=id, lifecyclePolicyText=new["policy"])
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ecr").delete_lifecycle_policy(repositoryName=id)
