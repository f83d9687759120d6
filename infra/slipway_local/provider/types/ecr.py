"""ECR: repositories and their lifecycle."""

from __future__ import annotations

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names, tag_list


class EcrRepositoryResource(ResourceType):
    """Its URL is the local registry's: Docker takes `localhost` for one that needs no TLS."""

    type_name = "aws:ecr/repository:Repository"
    inputs = property_names(
        "name imageTagMutability imageScanningConfiguration encryptionConfigurations forceDelete tags tagsAll"
    )
    force_replacement = property_names("name encryptionConfigurations")
    name_property = ("name", 256)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["name"]
        encryption = (inputs.get("encryptionConfigurations") or [None])[0]
        more = {}
        if encryption:
            more["encryptionConfiguration"] = {
                "encryptionType": encryption.get("encryptionType", "AES256"),
                **({"kmsKey": encryption["kmsKey"]} if encryption.get("kmsKey") else {}),
            }
        aws("ecr").create_repository(
            repositoryName=name,
            imageTagMutability=inputs.get("imageTagMutability", "MUTABLE"),
            imageScanningConfiguration=_scanning(inputs),
            tags=tag_list(inputs),
            **more,
        )
        return name, self.read(aws, name, {}) or {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = next((r for r in _repositories(aws) if r["repositoryName"] == id), None)
        return resource and {
            "name": id,
            "arn": resource["repositoryArn"],
            "registryId": resource["registryId"],
            "repositoryUrl": f"localhost:{aws.port}/{id}",
            "imageTagMutability": resource.get("imageTagMutability"),
            "imageScanningConfiguration": resource.get("imageScanningConfiguration"),
            "encryptionConfigurations": [resource["encryptionConfiguration"]],
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        mutability = new.get("imageTagMutability", "MUTABLE")
        aws("ecr").put_image_tag_mutability(repositoryName=id, imageTagMutability=mutability)
        aws("ecr").put_image_scanning_configuration(repositoryName=id, imageScanningConfiguration=_scanning(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ecr").delete_repository(repositoryName=id, force=bool(state.get("forceDelete")))


def _scanning(inputs: Properties) -> dict[str, bool]:
    return {"scanOnPush": bool((inputs.get("imageScanningConfiguration") or {}).get("scanOnPush"))}


def _repositories(aws: ProviderContext) -> list[Properties]:
    pages = aws("ecr").get_paginator("describe_repositories").paginate()
    return [repository for page in pages for repository in page["repositories"]]


class EcrLifecyclePolicyResource(ResourceType):
    type_name = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    inputs = property_names("repository policy")
    force_replacement = property_names("repository")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        self.update(aws, inputs["repository"], {}, inputs)
        return inputs["repository"], {"registryId": aws.account}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        try:
            resource = aws("ecr").get_lifecycle_policy(repositoryName=id)
        except aws("ecr").exceptions.ClientError:
            return None
        return {"repository": id, "policy": resource["lifecyclePolicyText"]}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecr").put_lifecycle_policy(repositoryName=id, lifecyclePolicyText=new["policy"])
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ecr").delete_lifecycle_policy(repositoryName=id)
