// Answers simulations on standard input, one JSON object a line, with what @cloud-copilot/iam-simulate decides.
// Its core is called, not its front: the front drops condition keys that an action does not list, and takes no
// session policy without its checks.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const modules = process.argv[2];
const require = createRequire(modules + "/");
const core = `${modules}/@cloud-copilot/iam-simulate/dist/cjs`;
const { authorize } = require(`${core}/core_engine/CoreSimulatorEngine.js`);
const { AwsRequestImpl } = require(`${core}/request/request.js`);
const { RequestContextImpl } = require(`${core}/requestContext.js`);
const { DiscoveryContextKeyConstraints } = require(`${core}/context_keys/discoveryContextKeyConstraints.js`);
const { loadPolicy } = require("@cloud-copilot/iam-policy");

const load = (policy, name) => (policy ? loadPolicy(policy, { name }) : undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const { request, identityPolicies, resourcePolicy, permissionBoundaryPolicies, sessionPolicy } = JSON.parse(line);
  const context = new RequestContextImpl(request.contextVariables);
  const { result } = authorize({
    request: new AwsRequestImpl(request.principal, request.resource, request.action, context),
    sessionPolicy: load(sessionPolicy, "session"),
    identityPolicies: identityPolicies.map(({ name, policy }) => load(policy, name)),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: load(resourcePolicy, "resource"),
    permissionBoundaries: permissionBoundaryPolicies?.map(({ name, policy }) => load(policy, name)),
    vpcEndpointPolicies: undefined,
    simulationParameters: {
      simulationMode: "Strict",
      discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]),
    },
    serviceSettings: { s3: {} },
  });
  console.log(result);
}
