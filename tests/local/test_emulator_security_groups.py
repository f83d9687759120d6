"""Security groups decide between load balancer and tasks, and a rule is an object of its own, as on AWS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway_local import firewall_chain
from slipway_local.base_images import ensure_base_images
from slipway_local.emulator import cleanup
from tests.local.conftest import until
from tests.local.site import Site

pytestmark = pytest.mark.e2e
PORT = 8000


CLIENT = """
import os, socket, time
while True:
    try:
        socket.create_connection((os.environ["TO"], int(os.environ["PORT"])), timeout=1).close()
        print("reached", flush=True)
    except OSError as error:
        print("refused" if isinstance(error, TimeoutError) else repr(error), flush=True)
    time.sleep(0.2)
"""


class Groups:
    """The groups of a load balancer and of its tasks, in a VPC of their own, and their rules."""

    def __init__(self, aws: Any, site: Site) -> None:
        self.ec2 = aws("ec2")
        self.site = site
        self.vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
        self.balancer = self.create("balancer")
        self.tasks = self.create("tasks")
        site.elb.set_security_groups(LoadBalancerArn=site.balancer, SecurityGroups=[self.balancer])
        site.elb.set_subnets(LoadBalancerArn=site.balancer, Subnets=[self.subnet])

    def create(self, name: str) -> str:
        group = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]
        (found,) = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        self.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=found["IpPermissionsEgress"])
        return str(group)

    def allow(self, direction: str, group: str, port: int = PORT, **peer: Any) -> str:
        """Add a rule about a group, or a range of addresses; its id."""
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer}
        call = getattr(self.ec2, f"authorize_security_group_{direction}")
        return str(call(GroupId=group, IpPermissions=[rule])["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def about(self, group: str) -> dict[str, Any]:
        return {"UserIdGroupPairs": [{"GroupId": group}]}

    def move(self, group: str, rule: str, port: int) -> None:
        """Change a rule's port in place."""
        changed = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
        self.ec2.modify_security_group_rules(
            GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule, "SecurityGroupRule": changed}]
        )

    def serve(self, **more: Any) -> None:
        network = {"subnets": [self.subnet], "securityGroups": [self.tasks]}
        self.site.serve(self.site.define(), network=network, grace=60, **more)


@pytest.fixture
def groups(aws: Any, site: Site) -> Groups:
    return Groups(aws, site)


def test_a_target_that_no_rule_lets_the_load_balancer_reach_times_out(groups: Groups, site: Site) -> None:
    outgoing = groups.allow("egress", groups.balancer, **groups.about(groups.tasks))
    groups.serve()
    until(lambda: site.states() == ["unhealthy"])
    (target,) = site.elb.describe_target_health(TargetGroupArn=site.group)["TargetHealthDescriptions"]
    assert target["TargetHealth"]["Reason"] == "Target.Timeout"
    before = time.monotonic()
    assert site.get()[0] == 504
    assert time.monotonic() - before >= 9, "AWS waits 10 s for a connection"

    incoming = groups.allow("ingress", groups.tasks, **groups.about(groups.balancer))
    until(lambda: site.states() == ["healthy"])
    assert site.get() == (200, "1")

    groups.move(groups.balancer, outgoing, PORT + 1)
    until(lambda: site.states() == ["unhealthy"])
    groups.move(groups.balancer, outgoing, PORT)
    groups.move(groups.tasks, incoming, PORT - 1)
    assert site.get()[0] == 504


def test_a_range_of_addresses_lets_in_who_has_a_subnet_in_it(groups: Groups, site: Site) -> None:
    groups.allow("egress", groups.balancer, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    groups.allow("ingress", groups.tasks, IpRanges=[{"CidrIp": "10.8.0.0/16"}])
    groups.serve()
    until(lambda: site.states() == ["unhealthy"])
    groups.allow("ingress", groups.tasks, IpRanges=[{"CidrIp": "10.9.0.0/16"}])
    until(lambda: site.states() == ["healthy"])


def test_a_rule_keeps_its_id_when_it_is_changed_and_a_new_one_has_another(groups: Groups) -> None:
    groups.site.serve(groups.site.define(), count=0)
    first = groups.allow("ingress", groups.tasks, **groups.about(groups.balancer))
    with pytest.raises(ClientError, match=r"InvalidPermission\.Duplicate"):
        groups.allow("ingress", groups.tasks, **groups.about(groups.balancer))
    groups.move(groups.tasks, first, 9000)
    second = groups.allow("ingress", groups.tasks, **groups.about(groups.balancer))
    rules = groups.ec2.describe_security_group_rules(SecurityGroupRuleIds=[first, second])["SecurityGroupRules"]
    assert {rule["SecurityGroupRuleId"]: rule["FromPort"] for rule in rules} == {first: 9000, second: PORT}

    other = groups.create("other")
    request = {"IpProtocol": "tcp", "FromPort": 9000, "ToPort": 9000, "ReferencedGroupId": other}
    groups.ec2.modify_security_group_rules(
        GroupId=groups.tasks, SecurityGroupRules=[{"SecurityGroupRuleId": first, "SecurityGroupRule": request}]
    )
    (rule,) = groups.ec2.describe_security_group_rules(SecurityGroupRuleIds=[first])["SecurityGroupRules"]
    assert rule["ReferencedGroupInfo"]["GroupId"] == other


class Client:
    """A task that tries to connect all the time, and says what came of it."""

    def __init__(self, groups: Groups, group: str, address: str, port: int, engine: Any) -> None:
        site = groups.site
        definition = site.define(program=CLIENT, TO=address, PORT=str(port))
        network = {"subnets": [groups.subnet], "securityGroups": [group]}
        started = site.ecs.run_task(
            cluster=site.cluster, taskDefinition=definition, networkConfiguration={"awsvpcConfiguration": network}
        )
        self._id = started["tasks"][0]["taskArn"].rsplit("/", 1)[-1]
        self._engine = engine
        until(lambda: self._lines())

    def _lines(self) -> list[str]:
        found = self._engine.containers.list(
            all=True, filters={"label": f"slipway.task={self._id}"}, ignore_removed=True
        )
        return str(found[0].logs().decode()).splitlines() if found else []

    def says(self, word: str, seconds: float = 20) -> None:
        """Wait until that is what came of two tries that begin from now on."""
        seen = len(self._lines()) + 1
        until(lambda: self._lines()[seen:].count(word) >= 2, seconds)
        assert self._lines()[-1] == word


def filter_rules() -> str:
    return subprocess.run(["iptables", "--wait", "-S"], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="packet filter rules take root")
def test_a_task_reaches_another_task_as_far_as_their_groups_allow(groups: Groups, site: Site, engine: Any) -> None:
    groups.serve()
    until(lambda: site.states())
    (target,) = site.elb.describe_target_health(TargetGroupArn=site.group)["TargetHealthDescriptions"]
    client_group = groups.create("client")
    outgoing = groups.allow("egress", client_group, **groups.about(groups.tasks))
    client = Client(groups, client_group, target["Target"]["Id"], PORT, engine)
    client.says("refused")
    assert "reached" not in client._lines(), "not even its first try"
    groups.allow("ingress", groups.tasks, **groups.about(client_group))
    client.says("reached")
    groups.move(client_group, outgoing, PORT + 1)
    client.says("refused")


@pytest.mark.skipif(os.geteuid() != 0, reason="packet filter rules take root")
def test_a_task_reaches_a_database_by_the_port_of_its_groups_rules(
    groups: Groups, aws: Any, engine: Any, emulator: Any
) -> None:
    ensure_base_images(["postgres:15-alpine"])
    database_group = groups.create("database")
    client_group = groups.create("client")
    groups.allow("egress", client_group, 5433, **groups.about(database_group))
    aws("rds").create_db_instance(
        DBInstanceIdentifier="walled",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        EngineVersion="15",
        Port=5433,
        AllocatedStorage=20,
        MasterUsername="owner",
        ManageMasterUserPassword=True,
        VpcSecurityGroupIds=[database_group],
    )

    def about() -> Any:
        return aws("rds").describe_db_instances(DBInstanceIdentifier="walled")["DBInstances"][0]

    until(lambda: about()["DBInstanceStatus"] == "available")
    groups.site.serve(groups.site.define(), count=0)
    endpoint = about()["Endpoint"]
    client = Client(groups, client_group, endpoint["Address"], endpoint["Port"], engine)
    client.says("refused")
    groups.allow("ingress", database_group, 5433, **groups.about(client_group))
    client.says("reached")
    assert f"SLIPWAY-{emulator.port}" in filter_rules()
    aws("rds").delete_db_instance(DBInstanceIdentifier="walled", SkipFinalSnapshot=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="packet filter rules take root")
def test_the_rules_of_a_local_aws_go_with_it_and_leave_those_of_others() -> None:
    port, other = 4996, 4997  # not another emulator's chain: that may change at any time
    for chain in (port, port, other):
        firewall_chain.add_chain(chain)
        firewall_chain.replace_rules(chain, ["-s 192.0.2.7 -d 192.0.2.8 -p tcp -j DROP"])
    others = [line for line in filter_rules().splitlines() if "SLIPWAY-4997" in line]
    assert len(others) > len(firewall_chain.HOOKS)
    assert filter_rules().count("-j SLIPWAY-4996") == len(firewall_chain.HOOKS)
    cleanup.remove_docker_resources(port, data=True)
    assert "SLIPWAY-4996" not in filter_rules()
    assert set(others) <= set(filter_rules().splitlines())
    cleanup.remove_docker_resources(other, data=True)


HOLDS_A_CHAIN = """
import sys
from slipway_local import firewall_chain
firewall_chain.add_chain(int(sys.argv[1]))
print("added", flush=True)
sys.stdin.read()
"""


def emulator_with_a_chain(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDS_A_CHAIN, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "added\n"
    return process


@pytest.mark.skipif(os.geteuid() != 0, reason="packet filter rules take root")
def test_a_start_removes_the_rules_of_a_killed_local_aws_and_no_others() -> None:
    """Later containers get the addresses that those rules name."""
    killed, running = emulator_with_a_chain(4994), emulator_with_a_chain(4995)
    killed.kill()
    killed.communicate()
    assert "SLIPWAY-4994" in filter_rules()
    try:
        firewall_chain.add_chain(4996)
        rules = filter_rules()
        assert "SLIPWAY-4994" not in rules
        assert rules.count("-j SLIPWAY-4995") == rules.count("-j SLIPWAY-4996") == len(firewall_chain.HOOKS)
    finally:
        running.communicate()
        firewall_chain.remove_chain(4995)
        firewall_chain.remove_chain(4996)
